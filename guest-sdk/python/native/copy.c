/* Copying where one side or both may be mapped memory, which bulk instructions do not reach.
 *
 * The accesses are volatile, so that the compiler makes no call of memmove of them. */
#include "module.h"

#include <stdlib.h>
#include <string.h>
#include <wasm_simd128.h>

typedef v128_t wide __attribute__((__aligned__(1)));
#define LOAD(type, at) (*(const volatile type *)(at))
#define STORE(type, at) (*(volatile type *)(at))

/* So many bytes are copied from one look to the next whether the guest is to be stopped: the
 * engine puts one into every loop. */
#define STEP 512

static void copy_up(char *to, const char *from, size_t length) {
	for (; length >= STEP; length -= STEP, to += STEP, from += STEP)
		/* Unrolled whole. */
#pragma clang loop unroll(full)
		for (size_t at = 0; at < STEP; at += 4 * sizeof(wide)) {
			v128_t a = LOAD(wide, from + at), b = LOAD(wide, from + at + 16);
			v128_t c = LOAD(wide, from + at + 32), d = LOAD(wide, from + at + 48);
			STORE(wide, to + at) = a;
			STORE(wide, to + at + 16) = b;
			STORE(wide, to + at + 32) = c;
			STORE(wide, to + at + 48) = d;
		}
	for (; length >= sizeof(wide); length -= sizeof(wide), to += sizeof(wide), from += sizeof(wide))
		STORE(wide, to) = LOAD(wide, from);
	while (length-- > 0)
		STORE(char, to++) = LOAD(char, from++);
}

static void copy_down(char *to, const char *from, size_t length) {
	for (; length >= sizeof(wide); length -= sizeof(wide))
		STORE(wide, to + length - sizeof(wide)) = LOAD(wide, from + length - sizeof(wide));
	while (length-- > 0)
		STORE(char, to + length) = LOAD(char, from + length);
}

void copy(void *to, const void *from, size_t length) {
	if (!is_mapped(to) && !is_mapped(from))
		memmove(to, from, length);
	else if ((uintptr_t)to - (uintptr_t)from < length)
		copy_down(to, from, length);
	else
		copy_up(to, from, length);
}

bool bytes_open(struct bytes *bytes, PyObject *object) {
	bytes->copy = NULL;
	if (PyObject_GetBuffer(object, &bytes->view, PyBUF_SIMPLE) < 0)
		return false;
	bytes->list = (native_list_u8_t){bytes->view.buf, (size_t)bytes->view.len};
	if (bytes->view.len == 0) {
		bytes->list.ptr = (uint8_t *)"";
	} else if (is_mapped(bytes->view.buf)) {
		bytes->copy = malloc(bytes->list.len);
		if (!bytes->copy) {
			PyBuffer_Release(&bytes->view);
			PyErr_NoMemory();
			return false;
		}
		copy(bytes->copy, bytes->view.buf, bytes->list.len);
		bytes->list.ptr = bytes->copy;
	}
	return true;
}

void bytes_close(struct bytes *bytes) {
	free(bytes->copy);
	PyBuffer_Release(&bytes->view);
}
