/* The C library's, and what it leaves out of POSIX. */
#include_next <unistd.h>

#ifndef __posix_ipc_unistd_h
#define __posix_ipc_unistd_h

#ifdef __cplusplus
extern "C" {
#endif

int pause(void);

pid_t fork(void);
pid_t getppid(void);
pid_t getpgrp(void);

uid_t getuid(void);
uid_t geteuid(void);
gid_t getgid(void);
gid_t getegid(void);
int getgroups(int, gid_t[]);
int setuid(uid_t);
int seteuid(uid_t);
int setgid(gid_t);
int setegid(gid_t);

#ifdef __cplusplus
}
#endif

#endif
