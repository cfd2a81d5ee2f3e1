/* <semaphore.h>: named semaphores of the host, and unnamed ones.
 *
 * An unnamed semaphore in shared memory is worked by the rules of the GNU C library on
 * 64-bit Linux, so that native programs can use it at the same time: the value in the
 * lower half of a 64-bit word, the number of waiters in the upper one.
 *
 * A named semaphore whose page is mapped is known to the program by the address of the page:
 * to take and to give one is then the same for all that is mapped. */
#include "internal.h"

#include <limits.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct semaphore {
	union {
		uint64_t word;  /* shared: in the object, not here; local: the value */
		struct {
			uint64_t *page; /* named: its own word, if it is mapped */
			struct semaphore *next; /* named, with a page */
		};
	};
	uint32_t wakeup;   /* shared: who is woken, SHARED_WAKEUP for other processes too */
	posix_ipc_mappings_own_mapping_t host_mapping; /* named, with a page */
	uint32_t magic;    /* named or local */
	posix_ipc_semaphore_borrow_semaphore_t handle;
};

/* Those with a name and a page. */
static struct semaphore *paged;

_Static_assert(sizeof(struct semaphore) <= sizeof(sem_t), "the native size is the limit");

#define NAMED 0x6e616d65u
#define LOCAL 0x6c6f6361u
#define SHARED_WAKEUP 128

#define ONE_WAITER (1ull << 32)
#define VALUE(word) ((uint32_t)(word))
#define WAITERS(word) ((uint32_t)((word) >> 32))

/* ---- semaphores with a name --------------------------------------------------------- */

sem_t *sem_open(const char *text, int flags, ...) {
	struct name name;
	if (!file_name(&name, text, "sem."))
		return SEM_FAILED;
	posix_ipc_types_open_flags_t open_flags = 0;
	uint32_t mode = 0, value = 0;
	if (flags & O_CREAT) {
		va_list rest;
		va_start(rest, flags);
		mode = new_mode(va_arg(rest, mode_t));
		value = va_arg(rest, unsigned);
		va_end(rest);
		open_flags |= POSIX_IPC_TYPES_OPEN_FLAGS_CREATE;
		if (flags & O_EXCL)
			open_flags |= POSIX_IPC_TYPES_OPEN_FLAGS_EXCLUSIVE;
	}
	struct semaphore *semaphore = calloc(1, sizeof(sem_t));
	if (!semaphore) {
		errno = ENOMEM;
		return SEM_FAILED;
	}
	posix_ipc_semaphore_own_semaphore_t handle;
	ipc_error error;
	if (!posix_ipc_semaphore_static_semaphore_open(&name.string, open_flags, mode, value, &handle, &error)) {
		free(semaphore);
		ipc_fail(&error, A_NAME);
		return SEM_FAILED;
	}
	semaphore->magic = NAMED;
	semaphore->handle = posix_ipc_semaphore_borrow_semaphore(handle);
	if (posix_ipc_semaphore_method_semaphore_map(semaphore->handle, &PROBE, &semaphore->host_mapping, &error))
		semaphore->page = (uint64_t *)mapping_address(semaphore->host_mapping);
	else
		posix_ipc_types_error_code_free(&error);
	if (!semaphore->page)
		return (sem_t *)semaphore;
	semaphore->next = paged;
	paged = semaphore;
	return (sem_t *)semaphore->page;
}

/* What a program knows as its semaphore, if it has a name. */
static struct semaphore *named(sem_t *public) {
	struct semaphore *semaphore = (struct semaphore *)public;
	if (!is_mapped(public))
		return semaphore->magic == NAMED ? semaphore : NULL;
	for (semaphore = paged; semaphore; semaphore = semaphore->next)
		if ((sem_t *)semaphore->page == public)
			return semaphore;
	return NULL;
}

int sem_unlink(const char *text) {
	struct name name;
	/* glibc has this one number for every bad name here. */
	if (!file_name(&name, text, "sem."))
		return fail_with(errno == EINVAL ? ENOENT : errno);
	ipc_error error;
	if (!posix_ipc_semaphore_unlink(&name.string, &error))
		return ipc_fail(&error, A_NAME);
	return 0;
}

int sem_close(sem_t *public) {
	uint64_t offset;
	struct semaphore *semaphore = shared_at(public, sizeof *public, &offset) ? NULL : named(public);
	if (!semaphore)
		return fail_with(EINVAL);
	semaphore->magic = 0;
	if (semaphore->page) {
		struct semaphore **at = &paged;
		while (*at != semaphore)
			at = &(*at)->next;
		*at = semaphore->next;
		posix_ipc_mappings_mapping_drop_own(semaphore->host_mapping);
	}
	posix_ipc_semaphore_semaphore_drop_own((posix_ipc_semaphore_own_semaphore_t){semaphore->handle.__handle});
	free(semaphore);
	return 0;
}

/* What the host's C library does where nobody has to wait or to be woken; all else is for
 * the host. */

static bool take_from_page(uint64_t *page) {
	uint64_t word = __atomic_load_n(page, __ATOMIC_SEQ_CST);
	while (VALUE(word) > 0)
		if (__atomic_compare_exchange_n(page, &word, word - 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return true;
	return false;
}

static bool give_to_page(uint64_t *page) {
	uint64_t word = __atomic_load_n(page, __ATOMIC_SEQ_CST);
	while (WAITERS(word) == 0 && VALUE(word) < SEM_VALUE_MAX)
		if (__atomic_compare_exchange_n(page, &word, word + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return true;
	return false;
}

static bool acquire_named(void *object, uint64_t *timeout, ipc_error *error) {
	struct semaphore *semaphore = object;
	return (semaphore->page && take_from_page(semaphore->page))
		|| posix_ipc_semaphore_method_semaphore_acquire(semaphore->handle, timeout, error);
}

static bool release_named(struct semaphore *semaphore, ipc_error *error) {
	return (semaphore->page && give_to_page(semaphore->page))
		|| posix_ipc_semaphore_method_semaphore_release(semaphore->handle, error);
}

/* ---- semaphores in shared memory ---------------------------------------------------- */

struct shared {
	posix_ipc_shared_memory_borrow_segment_t segment;
	uint64_t offset;
	uint64_t *word; /* in a mapping; NULL where the memory is a copy */
};

static bool load(const struct shared *at, uint64_t *word, ipc_error *error) {
	if (at->word) {
		*word = __atomic_load_n(at->word, __ATOMIC_SEQ_CST);
		return true;
	}
	return posix_ipc_shared_memory_method_segment_atomic_load_u64(at->segment, at->offset, word, error);
}

static bool add(const struct shared *at, uint64_t what, uint64_t *before, ipc_error *error) {
	if (at->word) {
		*before = __atomic_fetch_add(at->word, what, __ATOMIC_SEQ_CST);
		return true;
	}
	return posix_ipc_shared_memory_method_segment_atomic_rmw_u64(at->segment, at->offset,
		POSIX_IPC_SHARED_MEMORY_ATOMIC_OPERATION_ADD, what, before, error);
}

/* Puts `new` in place of what was read, or reads anew. */
static bool exchange(const struct shared *at, uint64_t *word, uint64_t new, bool *done, ipc_error *error) {
	if (at->word) {
		*done = __atomic_compare_exchange_n(at->word, word, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
		return true;
	}
	uint64_t before;
	bool ok = posix_ipc_shared_memory_method_segment_atomic_compare_exchange_u64(at->segment, at->offset,
		*word, new, &before, error);
	if (ok) {
		*done = before == *word;
		*word = before;
	}
	return ok;
}

static bool busy(ipc_error *error) {
	*error = (ipc_error){.tag = POSIX_IPC_TYPES_ERROR_CODE_BUSY};
	return false;
}

/* Takes one, and stops being a waiter if that is what the caller is. */
static bool take(const struct shared *at, uint64_t waiter, ipc_error *error) {
	uint64_t word;
	bool done = false;
	if (!load(at, &word, error))
		return false;
	while (!done) {
		if (VALUE(word) == 0)
			return busy(error);
		if (!exchange(at, &word, word - 1 - waiter, &done, error))
			return false;
	}
	return true;
}

static bool acquire_shared(void *object, uint64_t *timeout, ipc_error *error) {
	const struct shared *at = object;
	if (take(at, 0, error))
		return true;
	if (error->tag != POSIX_IPC_TYPES_ERROR_CODE_BUSY || (timeout && *timeout == 0))
		return false;
	uint64_t start = now(), before;
	if (!add(at, ONE_WAITER, &before, error))
		return false;
	for (;;) {
		if (take(at, ONE_WAITER, error))
			return true;
		uint64_t passed = now() - start, left = timeout && *timeout > passed ? *timeout - passed : 0;
		posix_ipc_shared_memory_wait_outcome_t outcome;
		if (error->tag != POSIX_IPC_TYPES_ERROR_CODE_BUSY || (timeout && left == 0)
			|| !posix_ipc_shared_memory_method_segment_wait(at->segment, at->offset, 0,
				timeout ? &left : NULL, &outcome, error)) {
			ipc_error ignored;
			if (!add(at, -ONE_WAITER, &before, &ignored))
				posix_ipc_types_error_code_free(&ignored);
			return false;
		}
	}
}

static bool release_shared(const struct shared *at, ipc_error *error) {
	uint64_t word;
	bool done = false;
	if (!load(at, &word, error))
		return false;
	while (!done) {
		if (VALUE(word) >= SEM_VALUE_MAX) {
			*error = (ipc_error){.tag = POSIX_IPC_TYPES_ERROR_CODE_OVERFLOW};
			return false;
		}
		if (!exchange(at, &word, word + 1, &done, error))
			return false;
	}
	uint32_t woken;
	return WAITERS(word) == 0
		|| posix_ipc_shared_memory_method_segment_notify(at->segment, at->offset, 1, &woken, error);
}

/* ---- all kinds ---------------------------------------------------------------------- */

enum kind { IS_NONE, IS_NAMED, IS_LOCAL, IS_SHARED };

/* Memory comes first: what a peer writes there must not pass for a handle. */
static enum kind kind_of(sem_t *public, struct shared *at, struct semaphore **semaphore) {
	struct segment *segment = shared_at(public, sizeof *public, &at->offset);
	if (segment) {
		at->segment = segment->handle;
		at->word = is_mapped(public) ? (uint64_t *)public : NULL;
		return at->offset % 8 == 0 ? IS_SHARED : IS_NONE;
	}
	*semaphore = named(public);
	if (*semaphore)
		return IS_NAMED;
	*semaphore = (struct semaphore *)public;
	return !is_mapped(public) && (*semaphore)->magic == LOCAL ? IS_LOCAL : IS_NONE;
}

int sem_init(sem_t *public, int shared, unsigned value) {
	(void)shared; /* Where it lies says it. */
	struct semaphore *semaphore = (struct semaphore *)public;
	struct shared at;
	if (value > SEM_VALUE_MAX)
		return fail_with(EINVAL);
	struct segment *segment = shared_at(public, sizeof *public, &at.offset);
	if (!segment) {
		*semaphore = (struct semaphore){.word = value, .magic = LOCAL};
		return 0;
	}
	at.segment = segment->handle;
	if (at.offset % 8 != 0)
		return fail_with(EINVAL);
	push();
	ipc_error error;
	bool done = posix_ipc_shared_memory_method_segment_atomic_store_u64(at.segment, at.offset + 8, SHARED_WAKEUP, &error)
		&& posix_ipc_shared_memory_method_segment_atomic_store_u64(at.segment, at.offset, value, &error);
	pull();
	return done ? 0 : ipc_fail(&error, A_SEMAPHORE);
}

int sem_destroy(sem_t *public) {
	struct shared at;
	struct semaphore *semaphore;
	switch (kind_of(public, &at, &semaphore)) {
	case IS_LOCAL:
		semaphore->magic = 0;
		return 0;
	case IS_SHARED:
		return 0;
	default:
		return fail_with(EINVAL);
	}
}

static bool acquire_local(void *object, uint64_t *timeout, ipc_error *error) {
	struct semaphore *semaphore = object;
	if (semaphore->word > 0) {
		semaphore->word--;
		return true;
	}
	/* Only what runs in this thread can post it, and that runs while this waits. */
	wait_for_notification(timeout ? *timeout : FOREVER);
	return busy(error);
}

/* Takes one within `limit`. Returns 0 or an error number: `late` for a wait in vain. */
static int acquire(sem_t *public, uint64_t limit, int late) {
	struct semaphore *semaphore;
	struct shared at;
	ipc_error error;
	int result;
	switch (kind_of(public, &at, &semaphore)) {
	case IS_NAMED:
		result = wait_for(acquire_named, semaphore, limit, &error);
		break;
	case IS_SHARED:
		result = wait_for(acquire_shared, &at, limit, &error);
		break;
	case IS_LOCAL:
		/* Without an end, and without anybody to post it: POSIX has a name for it. */
		if (semaphore->word == 0 && limit == FOREVER && notification_count() == 0)
			return EDEADLK;
		if (limit == 0) {
			result = semaphore->word > 0 ? (semaphore->word--, 0) : (busy(&error), -1);
			break;
		}
		result = wait_for(acquire_local, semaphore, limit, &error);
		break;
	default:
		return EINVAL;
	}
	if (result != -1)
		return result;
	if (error.tag == POSIX_IPC_TYPES_ERROR_CODE_BUSY || error.tag == POSIX_IPC_TYPES_ERROR_CODE_TIMED_OUT)
		return late;
	return ipc_errno(&error, A_SEMAPHORE);
}

static int acquire_and_meet(sem_t *public, uint64_t limit, int late) {
	push();
	int number = acquire(public, limit, late);
	pull();
	deliver();
	return number ? fail_with(number) : 0;
}

/* What semaphore.h leaves, when it has tried the word itself. */

int __posix_ipc_sem_wait(sem_t *public) {
	return acquire_and_meet(public, FOREVER, ETIMEDOUT);
}

int __posix_ipc_sem_trywait(sem_t *public) {
	return acquire_and_meet(public, 0, EAGAIN);
}

int sem_wait(sem_t *public) {
	return __posix_ipc_took_at_once(public) ? 0 : __posix_ipc_sem_wait(public);
}

int sem_trywait(sem_t *public) {
	return __posix_ipc_took_at_once(public) ? 0 : __posix_ipc_sem_trywait(public);
}

int sem_clockwait(sem_t *restrict public, clockid_t clock, const struct timespec *restrict end) {
	if ((clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) || !valid_time(end))
		return fail_with(EINVAL);
	if (__posix_ipc_took_at_once(public))
		return 0;
	return acquire_and_meet(public, time_until(clock, end), ETIMEDOUT);
}

int sem_timedwait(sem_t *restrict public, const struct timespec *restrict end) {
	return sem_clockwait(public, CLOCK_REALTIME, end);
}

int __posix_ipc_sem_post(sem_t *public) {
	struct semaphore *semaphore;
	struct shared at;
	ipc_error error;
	bool done = true;
	push();
	switch (kind_of(public, &at, &semaphore)) {
	case IS_NAMED:
		done = release_named(semaphore, &error);
		break;
	case IS_SHARED:
		done = release_shared(&at, &error);
		break;
	case IS_LOCAL:
		if (semaphore->word >= SEM_VALUE_MAX)
			return fail_with(EOVERFLOW);
		semaphore->word++;
		break;
	default:
		return fail_with(EINVAL);
	}
	deliver();
	return done ? 0 : ipc_fail(&error, A_SEMAPHORE);
}

int sem_post(sem_t *public) {
	return __posix_ipc_gave_at_once(public) ? 0 : __posix_ipc_sem_post(public);
}

int sem_getvalue(sem_t *restrict public, int *restrict value) {
	struct semaphore *semaphore;
	struct shared at;
	ipc_error error;
	uint32_t count;
	uint64_t word;
	bool done = true;
	meet();
	switch (kind_of(public, &at, &semaphore)) {
	case IS_NAMED:
		done = posix_ipc_semaphore_method_semaphore_value(semaphore->handle, &count, &error);
		break;
	case IS_SHARED:
		done = load(&at, &word, &error);
		count = VALUE(word);
		break;
	case IS_LOCAL:
		count = VALUE(semaphore->word);
		break;
	default:
		return fail_with(EINVAL);
	}
	deliver();
	if (!done)
		return ipc_fail(&error, A_SEMAPHORE);
	*value = (int)count;
	return 0;
}
