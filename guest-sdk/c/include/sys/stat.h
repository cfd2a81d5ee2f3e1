/* The C library's, and umask. */
#include_next <sys/stat.h>

#ifndef __posix_ipc_sys_stat_h
#define __posix_ipc_sys_stat_h

#ifdef __cplusplus
extern "C" {
#endif

mode_t umask(mode_t);

#ifdef __cplusplus
}
#endif

#endif
