/* The C library's, and the temporary files that it leaves out of POSIX. */
#include_next <stdlib.h>

#ifndef __posix_ipc_stdlib_h
#define __posix_ipc_stdlib_h

#ifdef __cplusplus
extern "C" {
#endif

int mkstemp(char *);
int mkostemp(char *, int);
char *mkdtemp(char *);

#ifdef __cplusplus
}
#endif

#endif
