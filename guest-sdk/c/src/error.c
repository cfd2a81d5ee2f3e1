/* From the host's error codes to errno: one table. */
#include "internal.h"

int ipc_errno(ipc_error *error, enum subject subject) {
	int number;
	switch (error->tag) {
	/* POSIX has no EPERM for opening and unlinking. */
	case POSIX_IPC_TYPES_ERROR_CODE_NOT_PERMITTED:
		number = subject == A_NAME ? EACCES : EPERM;
		break;
	/* On a handle: it was opened without this direction. */
	case POSIX_IPC_TYPES_ERROR_CODE_ACCESS:
		number = subject == A_DESCRIPTOR ? EBADF : EACCES;
		break;
	case POSIX_IPC_TYPES_ERROR_CODE_EXISTS: number = EEXIST; break;
	case POSIX_IPC_TYPES_ERROR_CODE_NO_ENTRY: number = ENOENT; break;
	case POSIX_IPC_TYPES_ERROR_CODE_BUSY: number = EAGAIN; break;
	case POSIX_IPC_TYPES_ERROR_CODE_TIMED_OUT: number = ETIMEDOUT; break;
	case POSIX_IPC_TYPES_ERROR_CODE_CANCELLED: number = ECANCELED; break;
	case POSIX_IPC_TYPES_ERROR_CODE_INVALID: number = EINVAL; break;
	case POSIX_IPC_TYPES_ERROR_CODE_NAME_TOO_LONG: number = ENAMETOOLONG; break;
	case POSIX_IPC_TYPES_ERROR_CODE_MESSAGE_TOO_LONG: number = EMSGSIZE; break;
	case POSIX_IPC_TYPES_ERROR_CODE_OVERFLOW: number = EOVERFLOW; break;
	case POSIX_IPC_TYPES_ERROR_CODE_NO_SPACE: number = ENOSPC; break;
	case POSIX_IPC_TYPES_ERROR_CODE_QUOTA: number = EDQUOT; break;
	case POSIX_IPC_TYPES_ERROR_CODE_CLOSED: number = subject == A_SEMAPHORE ? EINVAL : EBADF; break;
	/* Native code would have died of SIGBUS. */
	case POSIX_IPC_TYPES_ERROR_CODE_TRUNCATED: number = EFAULT; break;
	case POSIX_IPC_TYPES_ERROR_CODE_UNSUPPORTED: number = ENOTSUP; break;
	default: number = EIO;
	}
	posix_ipc_types_error_code_free(error);
	return number;
}

int ipc_fail(ipc_error *error, enum subject subject) {
	return fail_with(ipc_errno(error, subject));
}

int fail_with(int number) {
	errno = number;
	return -1;
}
