/* replay FILE|FOLDER…: runs a fuzzer's entry over the files, without libFuzzer. Exit code 0 if nothing ends it. */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsio.h"
#include "fuzz.h"

#define SECONDS_MAX 20 /* for one input: it hangs */

static unsigned replayed;

static int replay_file(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC), result = -1;
	if (fd < 0 || fstat(fd, &st) < 0) {
		perror(path);
		fsio_close(&fd);
		return -1;
	}
	/* An allocation of exactly this size, so that a sanitizer sees each byte too far. */
	size_t size = (size_t)st.st_size;
	uint8_t *bytes = malloc(size > 0 ? size : 1);
	if (bytes != NULL && fsio_read_at(fd, bytes, size, 0) == st.st_size) {
		alarm(SECONDS_MAX);
		LLVMFuzzerTestOneInput(bytes, size);
		alarm(0);
		replayed++;
		result = 0;
	}
	free(bytes);
	fsio_close(&fd);
	return result;
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
