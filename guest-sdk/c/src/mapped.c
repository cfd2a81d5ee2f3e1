/* Memory beyond the guest's own: what the host has mapped there. Loads, stores and atomics
 * reach it. Bulk instructions and calls to the host do not, and trap. So programs are
 * compiled without the former (posix-ipc-cc), the linker puts the functions here in the
 * place of the C library's (--wrap), and calls to the host get copies. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <wasm_simd128.h>

WRAPS(mapped, (void *)memcpy, (void *)memmove, (void *)memset);

char *mapping_address(posix_ipc_mappings_own_mapping_t mapping) {
	return (char *)(uintptr_t)posix_ipc_mappings_method_mapping_address(posix_ipc_mappings_borrow_mapping(mapping));
}

const void *lend(const void *bytes, size_t length, void **copy) {
	*copy = NULL;
	if (length == 0 || !is_mapped(bytes))
		return bytes;
	*copy = malloc(length);
	if (!*copy) {
		errno = ENOMEM;
		return NULL;
	}
	return memcpy(*copy, bytes, length);
}

/* ---- copying ------------------------------------------------------------------------ */

/* Volatile, so that the compiler makes no call of what is in its own place. */
typedef v128_t wide __attribute__((__aligned__(1)));
typedef uint64_t word __attribute__((__aligned__(1)));
typedef uint32_t half __attribute__((__aligned__(1)));
#define LOAD(type, at) (*(const volatile type *)(at))
#define STORE(type, at) (*(volatile type *)(at))

/* Copies so many, all of which are under way at once. */
#define COPY(count, to, from) \
	do { \
		v128_t held[count]; \
		_Pragma("clang loop unroll(full)") for (size_t i = 0; i < (count); i++) \
			held[i] = LOAD(wide, (from) + i * sizeof(wide)); \
		_Pragma("clang loop unroll(full)") for (size_t i = 0; i < (count); i++) \
			STORE(wide, (to) + i * sizeof(wide)) = held[i]; \
	} while (0)

/* Copies from both ends, with all loads first. */
#define COPY_ENDS(type, to, from, length) \
	do { \
		type first = LOAD(type, from), last = LOAD(type, (from) + (length) - sizeof(type)); \
		STORE(type, to) = first; \
		STORE(type, (to) + (length) - sizeof(type)) = last; \
	} while (0)

/* At most as much as two registers have. The ranges may overlap in any way. */
static inline void copy_little(char *to, const char *from, size_t length) {
	if (length >= sizeof(wide))
		COPY_ENDS(wide, to, from, length);
	else if (length >= sizeof(word))
		COPY_ENDS(word, to, from, length);
	else if (length >= sizeof(half))
		COPY_ENDS(half, to, from, length);
	else if (length > 0) {
		char first = LOAD(char, from), middle = LOAD(char, from + length / 2), last = LOAD(char, from + length - 1);
		STORE(char, to) = first;
		STORE(char, to + length / 2) = middle;
		STORE(char, to + length - 1) = last;
	}
}

/* At most so much is copied from both ends, without a loop. */
#define SHORT (8 * sizeof(wide))

#define COPY_MANY_ENDS(count, to, from, length) \
	do { \
		v128_t first[count], last[count]; \
		const char *late = (from) + (length) - (count) * sizeof(wide); \
		_Pragma("clang loop unroll(full)") for (size_t i = 0; i < (count); i++) { \
			first[i] = LOAD(wide, (from) + i * sizeof(wide)); \
			last[i] = LOAD(wide, late + i * sizeof(wide)); \
		} \
		_Pragma("clang loop unroll(full)") for (size_t i = 0; i < (count); i++) { \
			STORE(wide, (to) + i * sizeof(wide)) = first[i]; \
			STORE(wide, (to) + (length) - (count) * sizeof(wide) + i * sizeof(wide)) = last[i]; \
		} \
	} while (0)

/* The ranges may overlap in any way. */
static inline void copy_short(char *to, const char *from, size_t length) {
	if (length > 4 * sizeof(wide))
		COPY_MANY_ENDS(4, to, from, length);
	else if (length > 2 * sizeof(wide))
		COPY_MANY_ENDS(2, to, from, length);
	else
		copy_little(to, from, length);
}

/* A guest that can be interrupted looks at every turn of a loop whether it is, which takes as
 * long as copying some of the bytes. So a turn is long. */
#define TURN 512

static void copy_up(char *to, const char *from, size_t length) {
	for (; length >= TURN; length -= TURN, from += TURN, to += TURN)
#pragma clang loop unroll(full)
		for (size_t at = 0; at < TURN; at += 8 * sizeof(wide))
			COPY(8, to + at, from + at);
	for (; length > SHORT; length -= SHORT, from += SHORT, to += SHORT)
		COPY(8, to, from);
	copy_short(to, from, length);
}

static void copy_down(char *to, const char *from, size_t length) {
	for (; length >= TURN; length -= TURN)
#pragma clang loop unroll(full)
		for (size_t at = TURN; at > 0; at -= 8 * sizeof(wide))
			COPY(8, to + length - TURN + at - 8 * sizeof(wide), from + length - TURN + at - 8 * sizeof(wide));
	for (; length > SHORT; length -= SHORT)
		COPY(8, to + length - SHORT, from + length - SHORT);
	copy_short(to, from, length);
}

void *__real_memcpy(void *restrict, const void *restrict, size_t);
void *__real_memmove(void *, const void *, size_t);
void *__real_memset(void *, int, size_t);

/* What is short is copied alike wherever it is. */

void *__wrap_memcpy(void *restrict to, const void *restrict from, size_t length) {
	if (length <= SHORT)
		copy_short(to, from, length);
	else if (!is_mapped(to) && !is_mapped(from))
		return __real_memcpy(to, from, length);
	else
		copy_up(to, from, length);
	return to;
}

void *__wrap_memmove(void *to, const void *from, size_t length) {
	if (length <= SHORT)
		copy_short(to, from, length);
	else if (!is_mapped(to) && !is_mapped(from))
		return __real_memmove(to, from, length);
	else if ((uintptr_t)to - (uintptr_t)from < length)
		copy_down(to, from, length);
	else
		copy_up(to, from, length);
	return to;
}

void *__wrap_memset(void *to, int value, size_t length) {
	if (!is_mapped(to))
		return __real_memset(to, value, length);
	char *at = to;
	v128_t many = wasm_i8x16_splat((int8_t)value);
	for (; length >= TURN; length -= TURN)
#pragma clang loop unroll(full)
		for (size_t i = 0; i < TURN; i += sizeof(wide), at += sizeof(wide))
			STORE(wide, at) = many;
	for (; length >= sizeof(wide); length -= sizeof(wide), at += sizeof(wide))
		STORE(wide, at) = many;
	while (length-- > 0)
		STORE(char, at++) = (char)value;
	return to;
}
