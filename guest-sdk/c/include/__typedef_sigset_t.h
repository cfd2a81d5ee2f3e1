/* The C library's own is a placeholder of one byte. It is found after this one. */
#ifndef __wasilibc___typedef_sigset_t_h
#define __wasilibc___typedef_sigset_t_h

typedef struct {
	unsigned long long __signals;
} sigset_t;

#endif
