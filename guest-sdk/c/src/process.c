/* Who the guest is, and its processes: it is one, belongs to nobody else, and starts none.
 *
 * Its user is the one to whom the C library's `stat` says that files belong. */
#include "internal.h"

#include <sys/wait.h>
#include <unistd.h>

pid_t getppid(void) {
	return 1;
}

pid_t getpgrp(void) {
	return getpid();
}

pid_t fork(void) {
	return fail_with(ENOSYS);
}

pid_t waitpid(pid_t process, int *status, int options) {
	(void)process, (void)status, (void)options;
	return fail_with(ECHILD);
}

pid_t wait(int *status) {
	return waitpid(-1, status, 0);
}

int waitid(idtype_t type, id_t id, siginfo_t *info, int options) {
	(void)type, (void)id, (void)info, (void)options;
	return fail_with(ECHILD);
}

/* ---- users and groups --------------------------------------------------------------- */

#define USER 0
#define GROUP 0

uid_t getuid(void) {
	return USER;
}

uid_t geteuid(void) {
	return USER;
}

gid_t getgid(void) {
	return GROUP;
}

gid_t getegid(void) {
	return GROUP;
}

int getgroups(int size, gid_t list[]) {
	(void)size, (void)list;
	return 0;
}

int setuid(uid_t user) {
	return user == USER ? 0 : fail_with(EPERM);
}

int seteuid(uid_t user) {
	return setuid(user);
}

int setgid(gid_t group) {
	return group == GROUP ? 0 : fail_with(EPERM);
}

int setegid(gid_t group) {
	return setgid(group);
}
