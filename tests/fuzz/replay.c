/* replay FILE|FOLDER…: runs a fuzzer's entry over the files, without libFuzzer. Exit code 0 if nothing ends it. */
#include "config.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fsio.h"
#include "fuzz.h"

#define SECONDS_MAX 20 /* for one input: it hangs */

static unsigned replayed;

static int replay_file(const char *path)
{
	struct buf text = {0};
	if (fsio_read_file(path, 1 << 24, &text) < 0) {
		perror(path);
		return -1;
	}
	/* Its own allocation of exactly this size, so that a sanitizer sees each byte too far. */
	uint8_t *bytes = malloc(text.len > 0 ? text.len : 1);
	if (bytes == NULL)
		return -1;
	if (text.len > 0)
		memcpy(bytes, text.data, text.len);
	alarm(SECONDS_MAX);
	LLVMFuzzerTestOneInput(bytes, text.len);
	alarm(0);
	free(bytes);
	buf_fini(&text);
	replayed++;
	return 0;
}

static int replay_folder(const char *path)
{
	DIR *folder = opendir(path);
	int result = folder == NULL ? -1 : 0;
	for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
		char name[4096];
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
		if (replay_file(name) < 0)
			result = -1;
	}
	if (folder != NULL)
		closedir(folder);
	return result;
}

int main(int argc, char **argv)
{
	int result = 0;
	for (int i = 1; i < argc; i++) {
		struct stat st;
		if (stat(argv[i], &st) < 0 || (S_ISDIR(st.st_mode) ? replay_folder : replay_file)(argv[i]) < 0)
			result = 1;
	}
	printf("%u replayed\n", replayed);
	return replayed > 0 ? result : 1;
}
