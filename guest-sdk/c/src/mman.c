/* <sys/mman.h>: mappings.
 *
 * A mapping of shared memory is the object itself where the host maps it for the guest: a
 * mapping, of which all below that is about copies does nothing.
 *
 * Else it is a copy in the guest's own memory, and meets the object at the points that internal.h names: what the program changed is written to the object
 * (push), then what others changed is read from it (pull). To know its own changes, the
 * library keeps a second copy, of what it last had in common with the object.
 *
 * Only bytes that the program changed are written, whatever others did to those beside
 * them in the meantime. Where not all of an aligned word of 64 bits has changed, the
 * changed bytes are exchanged into the word in one atomic step: nobody ever sees half of
 * a number.
 *
 * `back` and `unback` are the place where a mapping gets its memory. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

WRAPS(mman, (void *)_Exit);

typedef posix_ipc_shared_memory_borrow_segment_t segment_handle;

/* Memory of this library that mappings lie in; more than one once a mapping was split. */
struct block {
	unsigned uses;
	char *memory;
	char *common; /* What memory and object last had in common; NULL if nothing is pushed. */
	bool is_host_mapping;
	posix_ipc_mappings_own_mapping_t host_mapping;
};

struct mapping {
	struct mapping *next;
	struct block *block;
	size_t start, length;    /* in the block; multiples of the page */
	struct segment *segment; /* NULL if the mapping is of nothing, or private */
	uint64_t offset;         /* in the object */
	int protection;
};

static struct mapping *mappings;
size_t copied_mappings;

/* The host copies at least this much with one call. */
#define LONGEST_READ (1u << 20)

uint32_t page_size(void) {
	static uint32_t size;
	if (size == 0)
		size = posix_ipc_limits_page_size();
	return size;
}

static char *memory_of(const struct mapping *m) {
	return m->block->memory + m->start;
}

static char *common_of(const struct mapping *m) {
	return m->block->common + m->start;
}

static bool is_host_mapping(const struct mapping *m) {
	return m->block->is_host_mapping;
}

static bool is_copy(const struct mapping *m) {
	return m->segment && !is_host_mapping(m);
}

static bool pushes(const struct mapping *m) {
	return m->segment && m->block->common;
}

void segment_release(struct segment *segment) {
	if (--segment->uses > 0)
		return;
	posix_ipc_shared_memory_segment_drop_own((posix_ipc_shared_memory_own_segment_t){segment->handle.__handle});
	free(segment);
}

/* ---- pushing ------------------------------------------------------------------------ */

typedef uint64_t word;

static word word_at(const char *memory) {
	word value;
	memcpy(&value, memory, sizeof value);
	return value;
}

/* How much of two memories is the same from the start on, to the word. The C library's
 * memcmp goes byte by byte. */
static size_t same(const char *a, const char *b, size_t length) {
	size_t at = 0;
	for (; at + 4 * sizeof(word) <= length; at += 4 * sizeof(word)) {
		word differences = 0;
		for (size_t i = 0; i < 4 * sizeof(word); i += sizeof(word))
			differences |= word_at(a + at + i) ^ word_at(b + at + i);
		if (differences)
			break;
	}
	while (at + sizeof(word) <= length && word_at(a + at) == word_at(b + at))
		at += sizeof(word);
	return at;
}

/* All bits of each byte in which the words differ. */
static word changed_bytes(word a, word b) {
	word x = a ^ b;
	x |= x >> 4 & 0x0f0f0f0f0f0f0f0full;
	x |= x >> 2 & 0x0303030303030303ull;
	x |= x >> 1;
	return (x & 0x0101010101010101ull) * 0xff;
}

/* A failure means that the object is shorter now. What was not written stays a change of
 * the guest's, for the case that the object grows again. */
static void write_bytes(const struct mapping *m, size_t from, size_t to) {
	posix_ipc_list_u8_t bytes = {(uint8_t *)memory_of(m) + from, to - from};
	ipc_error error;
	if (posix_ipc_shared_memory_method_segment_write(m->segment->handle, m->offset + from, &bytes, &error))
		memcpy(common_of(m) + from, bytes.ptr, bytes.len);
	else
		posix_ipc_types_error_code_free(&error);
}

static void write_part_of_word(const struct mapping *m, size_t at, word changed) {
	word mine = word_at(memory_of(m) + at) & changed, expected = word_at(common_of(m) + at);
	for (;;) {
		word both = (expected & ~changed) | mine, before;
		ipc_error error;
		if (!posix_ipc_shared_memory_method_segment_atomic_compare_exchange_u64(m->segment->handle,
				m->offset + at, expected, both, &before, &error)) {
			posix_ipc_types_error_code_free(&error);
			return;
		}
		if (before == expected) {
			memcpy(memory_of(m) + at, &both, sizeof both);
			memcpy(common_of(m) + at, &both, sizeof both);
			return;
		}
		expected = before;
	}
}

/* How much of the mapping the object has; 0 if that cannot be known. */
static size_t present(const struct mapping *m) {
	uint64_t size;
	ipc_error error;
	if (!posix_ipc_shared_memory_method_segment_size(m->segment->handle, &size, &error)) {
		posix_ipc_types_error_code_free(&error);
		return 0;
	}
	uint64_t rest = size > m->offset ? size - m->offset : 0;
	return rest < m->length ? (size_t)rest : m->length;
}

static void push_mapping(const struct mapping *m) {
	const char *memory = memory_of(m), *common = common_of(m);
	size_t at = same(memory, common, m->length);
	if (at == m->length)
		return;
	size_t end = present(m);
	while (at + sizeof(word) <= end) {
		word changed = changed_bytes(word_at(memory + at), word_at(common + at));
		if (changed == 0) {
			at += same(memory + at, common + at, end - at);
		} else if (~changed != 0) {
			write_part_of_word(m, at, changed);
			at += sizeof(word);
		} else {
			size_t from = at;
			do
				at += sizeof(word);
			while (at + sizeof(word) <= end && ~changed_bytes(word_at(memory + at), word_at(common + at)) == 0);
			write_bytes(m, from, at);
		}
	}
	/* An object may end within a word. */
	while (at < end) {
		size_t from = at;
		while (at < end && memory[at] != common[at])
			at++;
		if (at > from)
			write_bytes(m, from, at);
		else
			at++;
	}
}

void push(void) {
	for (struct mapping *m = mappings; m; m = m->next)
		if (pushes(m))
			push_mapping(m);
}

/* ---- pulling ------------------------------------------------------------------------ */

/* Follows a push: what the object has is what both have, but for bytes that the object
 * was too short for. */
static bool pull_mapping(const struct mapping *m) {
	size_t at = 0;
	while (at < m->length) {
		size_t wanted = m->length - at < LONGEST_READ ? m->length - at : LONGEST_READ;
		posix_ipc_list_u8_t bytes;
		ipc_error error;
		if (!posix_ipc_shared_memory_method_segment_read(m->segment->handle, m->offset + at, wanted, &bytes, &error)) {
			posix_ipc_types_error_code_free(&error);
			return false;
		}
		size_t length = bytes.len;
		const char *seen = m->block->common ? common_of(m) : memory_of(m), *found = (char *)bytes.ptr;
		size_t known = same(seen + at, found, length);
		if (known < length) {
			memcpy(memory_of(m) + at + known, found + known, length - known);
			if (m->block->common)
				memcpy(common_of(m) + at + known, found + known, length - known);
		}
		posix_ipc_list_u8_free(&bytes);
		if (length == 0)
			break;
		at += length;
	}
	return true;
}

void pull(void) {
	for (struct mapping *m = mappings; m; m = m->next)
		if (is_copy(m))
			pull_mapping(m);
}

void meet(void) {
	push();
	pull();
}

/* A program's last changes are as visible as any others. */
__attribute__((__destructor__)) static void push_at_exit(void) {
	push();
}

_Noreturn void __real__Exit(int);

_Noreturn void __wrap__Exit(int code) {
	push();
	__real__Exit(code);
}

_Noreturn void __wrap__exit(int code) {
	__wrap__Exit(code);
}

/* ---- where a mapping gets its memory ------------------------------------------------ */

/* By a mapping, if the host has one and the object reaches to the last page: a copy may be
 * longer than its object. */
static bool back_by_host_mapping(struct mapping *m) {
	uint64_t size = 0;
	ipc_error error;
	bool done = posix_ipc_shared_memory_method_segment_size(m->segment->handle, &size, &error);
	if (done && (size <= m->offset || size - m->offset + page_size() <= m->length))
		return false;
	uint64_t rest = size - m->offset;
	done = done && posix_ipc_shared_memory_method_segment_map(m->segment->handle, &PROBE, m->offset,
		rest < m->length ? rest : m->length,
		m->segment->writable ? POSIX_IPC_TYPES_ACCESS_READ_WRITE : POSIX_IPC_TYPES_ACCESS_READ,
		&m->block->host_mapping, &error);
	if (!done) {
		posix_ipc_types_error_code_free(&error);
		return false;
	}
	m->block->is_host_mapping = true;
	m->block->memory = mapping_address(m->block->host_mapping);
	return true;
}

/* 0 or an error number. */
static int back(struct mapping *m, bool sharing) {
	struct block *block = calloc(1, sizeof *block);
	if (!block)
		return ENOMEM;
	m->block = block;
	block->uses = 1;
	if (m->segment && sharing && back_by_host_mapping(m))
		return 0;
	block->memory = aligned_alloc(page_size(), m->length);
	if (block->memory && m->segment && m->segment->writable)
		block->common = calloc(1, m->length);
	if (!block->memory || (m->segment && m->segment->writable && !block->common)) {
		free(block->memory);
		free(block);
		return ENOMEM;
	}
	memset(block->memory, 0, m->length);
	return 0;
}

static void unback(struct mapping *m) {
	if (--m->block->uses == 0) {
		if (is_host_mapping(m))
			posix_ipc_mappings_mapping_drop_own(m->block->host_mapping);
		else
			free(m->block->memory);
		free(m->block->common);
		free(m->block);
	}
}

/* ---- the functions of POSIX --------------------------------------------------------- */

static size_t up_to_page(size_t length) {
	return (length + page_size() - 1) & ~(size_t)(page_size() - 1);
}

static void discard(struct mapping *m) {
	unback(m);
	if (m->segment)
		segment_release(m->segment);
	free(m);
}

void *mmap(void *hint, size_t length, int protection, int flags, int number, off_t offset) {
	(void)hint;
	struct descriptor *descriptor = NULL;
	int type = flags & MAP_TYPE;
	bool sharing = type == MAP_SHARED || type == MAP_SHARED_VALIDATE;
	errno = 0;
	if (offset & (page_size() - 1))
		errno = EINVAL;
	else if (!(flags & MAP_ANON) && !(descriptor = descriptor_of(number)))
		/* A file's descriptor is good, but not for this. */
		errno = fcntl(number, F_GETFL) < 0 ? EBADF : ENODEV;
	else if (length == 0)
		errno = EINVAL;
	else if (up_to_page(length) == 0)
		errno = ENOMEM;
	else if (offset < 0)
		errno = EOVERFLOW;
	else if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
		errno = ENOTSUP;
	else if (!sharing && type != MAP_PRIVATE)
		errno = EINVAL;
	else if (descriptor && descriptor->kind != SEGMENT)
		errno = ENODEV;
	else if (descriptor && sharing && (protection & PROT_WRITE) && !descriptor->segment->writable)
		errno = EACCES;
	if (errno != 0)
		return MAP_FAILED;

	struct mapping *m = calloc(1, sizeof *m);
	if (!m) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	m->length = up_to_page(length);
	m->protection = protection;
	m->offset = (uint64_t)offset;
	if (descriptor) {
		m->segment = descriptor->segment;
		m->segment->uses++;
	}
	int failure = back(m, sharing);
	if (failure) {
		if (m->segment)
			segment_release(m->segment);
		free(m);
		errno = failure;
		return MAP_FAILED;
	}
	if (is_copy(m)) {
		push(); /* of other mappings of the same object */
		if (!pull_mapping(m)) {
			discard(m);
			errno = ENOMEM;
			return MAP_FAILED;
		}
	}
	if (!sharing && m->segment) {
		/* From here on nobody else's business. */
		segment_release(m->segment);
		m->segment = NULL;
	}
	m->next = mappings;
	mappings = m;
	copied_mappings += is_copy(m);
	return memory_of(m);
}

/* Makes `address` a border between mappings, if it lies within one. False if there is no
 * memory for it. */
static bool split_at(const char *address) {
	for (struct mapping *m = mappings; m; m = m->next) {
		const char *start = memory_of(m);
		if (address <= start || address >= start + m->length)
			continue;
		struct mapping *rest = malloc(sizeof *rest);
		if (!rest)
			return false;
		*rest = *m;
		m->length = (size_t)(address - start);
		rest->start += m->length;
		rest->length -= m->length;
		rest->offset += m->length;
		rest->block->uses++;
		if (rest->segment)
			rest->segment->uses++;
		copied_mappings += is_copy(rest);
		m->next = rest;
	}
	return true;
}

/* Whether the range is one of whole pages; its length is made one. */
static bool whole_pages(const void *start, size_t *length) {
	if ((uintptr_t)start & (page_size() - 1))
		return false;
	if (up_to_page(*length) < *length)
		return false;
	*length = up_to_page(*length);
	return true;
}

static bool within(const struct mapping *m, const char *start, size_t length) {
	return memory_of(m) >= start && memory_of(m) + m->length <= start + length;
}

static bool all_mapped(const char *start, size_t length) {
	size_t mapped = 0;
	for (struct mapping *m = mappings; m; m = m->next)
		if (within(m, start, length))
			mapped += m->length;
	return mapped == length;
}

int munmap(void *start, size_t length) {
	if (length == 0 || !whole_pages(start, &length))
		return fail_with(EINVAL);
	if (!split_at(start) || !split_at((char *)start + length))
		return fail_with(ENOMEM);
	push();
	for (struct mapping **at = &mappings; *at;) {
		struct mapping *m = *at;
		if (within(m, start, length)) {
			*at = m->next;
			copied_mappings -= is_copy(m);
			discard(m);
		} else {
			at = &m->next;
		}
	}
	return 0;
}

int mprotect(void *start, size_t length, int protection) {
	if (!whole_pages(start, &length))
		return fail_with(EINVAL);
	if (length == 0)
		return 0;
	if (!split_at(start) || !split_at((char *)start + length) || !all_mapped(start, length))
		return fail_with(ENOMEM);
	for (struct mapping *m = mappings; m; m = m->next)
		if (within(m, start, length) && (protection & PROT_WRITE) && m->segment && !m->segment->writable)
			return fail_with(EACCES);
	for (struct mapping *m = mappings; m; m = m->next)
		if (within(m, start, length))
			m->protection = protection;
	return 0;
}

int msync(void *start, size_t length, int flags) {
	if (!whole_pages(start, &length) || (flags & ~(MS_ASYNC | MS_SYNC | MS_INVALIDATE))
		|| (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
		return fail_with(EINVAL);
	if (length == 0)
		return 0;
	if (!split_at(start) || !split_at((char *)start + length) || !all_mapped(start, length))
		return fail_with(ENOMEM);
	meet();
	return 0;
}

int mlock(const void *start, size_t length) {
	(void)start, (void)length;
	return 0;
}

int munlock(const void *start, size_t length) {
	(void)start, (void)length;
	return 0;
}

int posix_madvise(void *start, size_t length, int advice) {
	(void)start, (void)length, (void)advice;
	return 0;
}

int madvise(void *start, size_t length, int advice) {
	return posix_madvise(start, length, advice);
}

struct segment *shared_at(const void *address, size_t length, uint64_t *offset) {
	for (struct mapping *m = mappings; m; m = m->next) {
		const char *start = memory_of(m), *at = address;
		if (!(pushes(m) || (m->segment && is_host_mapping(m))) || !(m->protection & PROT_WRITE) || at < start || at + length > start + m->length)
			continue;
		*offset = m->offset + (uint64_t)(at - start);
		return m->segment;
	}
	return NULL;
}
