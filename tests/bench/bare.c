/* The ceiling: a FastCGI responder that reads the body, prints ok, and does nothing else. usage: bare SOCKET THREADS */
#include <fcgiapp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void *respond(void *arg)
{
	FCGX_Request request;
	char body[16384];
	FCGX_InitRequest(&request, *(int *)arg, 0);
	while (FCGX_Accept_r(&request) == 0) {
		while (FCGX_GetStr(body, sizeof body, request.in) > 0)
			;
		FCGX_FPrintF(request.out, "Content-Type: text/plain\r\n\r\nok\n");
		FCGX_Finish_r(&request);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int threads = argc == 3 ? atoi(argv[2]) : 0;
	if (threads < 1 || threads > 64) {
		fprintf(stderr, "usage: bare SOCKET THREADS\n");
		return 64;
	}
	pthread_t thread[64];
	FCGX_Init();
	signal(SIGTERM, SIG_DFL); /* libfcgi would wait for one more request */
	int fd = FCGX_OpenSocket(argv[1], 1024);
	if (fd < 0)
		return 71;
	for (int i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, respond, &fd) != 0)
			return 71;
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	return 0;
}
