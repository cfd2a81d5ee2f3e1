/* What the files of the library share. None of it is for programs. */
#ifndef POSIX_IPC_INTERNAL_H
#define POSIX_IPC_INTERNAL_H

#include "../posix_ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define HIDDEN __attribute__((__visibility__("hidden")))

typedef posix_ipc_types_error_code_t ipc_error;

/* ---- error.c ------------------------------------------------------------------------ */

/* What the error is about, where the same one has two numbers. */
enum subject {
	A_NAME,       /* opening or unlinking */
	A_SEMAPHORE,
	A_DESCRIPTOR, /* of shared memory or a queue */
};

/* The number of an error. Frees the error. */
HIDDEN int ipc_errno(ipc_error *error, enum subject);
/* Sets errno, and returns -1. */
HIDDEN int ipc_fail(ipc_error *error, enum subject);
HIDDEN int fail_with(int number);

/* ---- name.c ------------------------------------------------------------------------- */

#define LONGEST_NAME 255

/* A name as the host wants it: with one leading slash. */
struct name {
	char text[LONGEST_NAME + 2];
	posix_ipc_string_t string;
};

/* For semaphores and shared memory, of which the native library takes several spellings.
 * The prefix is what it puts before the name of a file. False with errno set. */
HIDDEN bool file_name(struct name *, const char *text, const char *prefix);
HIDDEN bool queue_name(struct name *, const char *text);
/* The mode of a new object, with what umask was called with taken away. */
HIDDEN uint32_t new_mode(mode_t);

/* ---- time.c ------------------------------------------------------------------------- */

#define SECOND 1000000000ull
#define FOREVER UINT64_MAX

HIDDEN bool valid_time(const struct timespec *);
/* Nanoseconds from now until a point of a clock; 0 if it has passed. */
HIDDEN uint64_t time_until(clockid_t, const struct timespec *);
HIDDEN uint64_t now(void);

/* ---- wait.c ------------------------------------------------------------------------- */

/* One try at something, which waits for at most the timeout; with none, for ever. */
typedef bool attempt(void *object, uint64_t *timeout, ipc_error *);

/* Tries until it succeeds or fails for another reason than the time. What arrives in the
 * meantime is delivered; the wait ends with EINTR if a handler says so. `limit` in
 * nanoseconds may be FOREVER. Returns 0, an error number, or -1 with the error stored. */
HIDDEN int wait_for(attempt *, void *object, uint64_t limit, ipc_error *);
/* Waits for a notification, for at most `limit`. False if none can come in that time. */
HIDDEN bool wait_for_notification(uint64_t limit);

/* ---- signal.c ----------------------------------------------------------------------- */

/* Whether a handler ran since the last call of this, or one that was not installed with
 * SA_RESTART. */
enum interruption { BY_ANY_HANDLER, BY_A_HANDLER_WITHOUT_RESTART };
HIDDEN bool interrupted(enum interruption);
HIDDEN void send_signal(int number, int code, union sigval value);
/* Runs the handlers of pending signals that are not blocked. */
HIDDEN void deliver_pending(void);

/* ---- notify.c ----------------------------------------------------------------------- */

struct descriptor;

HIDDEN int request_notification(struct descriptor *, const struct sigevent *);
HIDDEN void cancel_notification(struct descriptor *);
/* Runs what is to be run for the notifications that have arrived. */
HIDDEN void deliver(void);
HIDDEN size_t notification_count(void);
/* A pollable for each registration; as many as fit. */
HIDDEN size_t notification_pollables(int32_t *handles, size_t room);

/* ---- mapped.c ----------------------------------------------------------------------- */

/* Some byte of the guest's own: it says to the host which memory a mapping is for. */
#define PROBE (posix_ipc_list_u8_t){(uint8_t *)"", 1}

/* Whether an address is beyond the guest's own memory. */
HIDDEN bool is_mapped(const void *address);
HIDDEN char *mapping_address(posix_ipc_mappings_own_mapping_t);
/* The bytes, or a copy if they lie in a mapping: `copy` is to be freed in any case. NULL
 * with errno set if there is no memory for it. */
HIDDEN const void *lend(const void *bytes, size_t length, void **copy);

/* ---- mman.c ------------------------------------------------------------------------- */

/* Shared memory that is open: by a descriptor, by mappings of it, or both. */
struct segment {
	posix_ipc_shared_memory_borrow_segment_t handle;
	unsigned uses;
	bool writable;
};

HIDDEN void segment_release(struct segment *);

/* The points at which mapped memory and the object meet. To push is to make the guest's
 * own changes visible to others; to pull, to see theirs. Cheap where nothing is mapped. */
HIDDEN void push(void);
HIDDEN void pull(void);
/* Both, in that order. */
HIDDEN void meet(void);

/* Where in an object an address is that is mapped for sharing and writing, if it is. */
HIDDEN struct segment *shared_at(const void *address, size_t length, uint64_t *offset);
HIDDEN uint32_t page_size(void);

/* ---- fd.c --------------------------------------------------------------------------- */

enum descriptor_kind { SEGMENT = 1, QUEUE };

struct descriptor {
	enum descriptor_kind kind;
	int access;     /* O_RDONLY, O_WRONLY, O_RDWR */
	bool nonblock;
	struct segment *segment;
	int64_t position;
	posix_ipc_message_queue_borrow_queue_t queue;
	size_t message_size;
	struct registration *registration;
};

/* The descriptor of a number, or NULL if it is not of this library. */
HIDDEN struct descriptor *descriptor_of(int number);
/* The number of a new descriptor, or -1. */
HIDDEN int descriptor_add(const struct descriptor *);
HIDDEN int descriptor_close(int number);

static inline bool may_read(const struct descriptor *d) { return d->access != O_WRONLY; }
static inline bool may_write(const struct descriptor *d) { return d->access != O_RDONLY; }


#endif
