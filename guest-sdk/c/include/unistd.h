/* The C library's, and pause. */
#include_next <unistd.h>

#ifndef __posix_ipc_unistd_h
#define __posix_ipc_unistd_h

#ifdef __cplusplus
extern "C" {
#endif

int pause(void);

#ifdef __cplusplus
}
#endif

#endif
