/* The C library's, and what it leaves out of POSIX. There is one thread. */
#include_next <pthread.h>

#ifndef __posix_ipc_pthread_h
#define __posix_ipc_pthread_h

#ifdef __cplusplus
extern "C" {
#endif

_Noreturn void pthread_exit(void *);
int pthread_cancel(pthread_t);

#ifdef __cplusplus
}
#endif

#endif
