/* Memory beyond the guest's own: what the host has mapped there. Loads, stores and atomics
 * reach it. Bulk instructions and calls to the host do not, and trap. So programs are
 * compiled without the former (posix-ipc-cc), the linker puts the functions here in the
 * place of the C library's (--wrap), and calls to the host get copies. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <wasm_simd128.h>

bool is_mapped(const void *address) {
	return (uintptr_t)address / 65536 >= __builtin_wasm_memory_size(0);
}

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
#define LOAD(type, at) (*(const volatile type *)(at))
#define STORE(type, at) (*(volatile type *)(at))

static void copy_up(char *to, const char *from, size_t length) {
	for (; length >= 4 * sizeof(wide); length -= 4 * sizeof(wide)) {
		v128_t a = LOAD(wide, from), b = LOAD(wide, from + 16), c = LOAD(wide, from + 32), d = LOAD(wide, from + 48);
		STORE(wide, to) = a;
		STORE(wide, to + 16) = b;
		STORE(wide, to + 32) = c;
		STORE(wide, to + 48) = d;
		from += 4 * sizeof(wide), to += 4 * sizeof(wide);
	}
	for (; length >= sizeof(wide); length -= sizeof(wide)) {
		STORE(wide, to) = LOAD(wide, from);
		from += sizeof(wide), to += sizeof(wide);
	}
	while (length-- > 0)
		STORE(char, to++) = LOAD(char, from++);
}

static void copy_down(char *to, const char *from, size_t length) {
	for (; length >= sizeof(wide); length -= sizeof(wide))
		STORE(wide, to + length - sizeof(wide)) = LOAD(wide, from + length - sizeof(wide));
	while (length-- > 0)
		STORE(char, to + length) = LOAD(char, from + length);
}

void *__real_memcpy(void *restrict, const void *restrict, size_t);
void *__real_memmove(void *, const void *, size_t);
void *__real_memset(void *, int, size_t);

void *__wrap_memcpy(void *restrict to, const void *restrict from, size_t length) {
	if (!is_mapped(to) && !is_mapped(from))
		return __real_memcpy(to, from, length);
	copy_up(to, from, length);
	return to;
}

void *__wrap_memmove(void *to, const void *from, size_t length) {
	if (!is_mapped(to) && !is_mapped(from))
		return __real_memmove(to, from, length);
	if ((uintptr_t)to - (uintptr_t)from < length)
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
	for (; length >= sizeof(wide); length -= sizeof(wide), at += sizeof(wide))
		STORE(wide, at) = many;
	while (length-- > 0)
		STORE(char, at++) = (char)value;
	return to;
}
