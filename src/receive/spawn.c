#include "config.h"

#include "receive/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "base/fsio.h"
#include "base/log.h"
#include "base/program.h"
#include "spool/spool.h"

static void set_up(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, int place)
{
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	if (place >= 0)
		posix_spawn_file_actions_adddup2(actions, place, 0);
	else
		posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_addopen(actions, 1, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(actions, 1, 2);
	posix_spawnattr_setsigmask(attributes, &none);
	posix_spawnattr_setsigdefault(attributes, &all);
	posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

void wake_deliverer(const char *conf_path, const struct spool *spool)
{
	const char *argv[] = {"hookspool", "-c", conf_path, "deliver", NULL};
	const char *env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	char path[PATH_MAX];
	pid_t pid;
	const char *program = program_again(path);
	if (program == NULL) {
		log_warn("cannot start a deliverer");
		return;
	}
	int place = spool_place(spool, -1);
	if (place < 0 && errno == EAGAIN)
		return;
	int error = posix_spawn_file_actions_init(&actions);
	if (error != 0)
		goto end;
	error = posix_spawnattr_init(&attributes);
	if (error == 0) {
		set_up(&actions, &attributes, place);
		error = posix_spawn(&pid, program, &actions, &attributes, (char *const *)argv, (char *const *)env);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
end:
	fsio_close(&place);
	if (error != 0) {
		errno = error;
		log_warn("cannot start a deliverer");
	}
}
