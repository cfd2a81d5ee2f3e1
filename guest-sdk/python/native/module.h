/* What the files of the module share. */
#ifndef MODULE_H
#define MODULE_H

#include "bindings/native.h"
#include "python.h"

#include <stdbool.h>

typedef posix_ipc_types_error_code_t ipc_error;

/* ---- module.c ----------------------------------------------------------------------- */

/* Raises `CallError` with the error, which it frees. Returns NULL. */
PyObject *fail(ipc_error *);
/* None, or the failure of a call that said "no". */
static inline PyObject *done(bool ok, ipc_error *error) { return ok ? none() : fail(error); }
/* Takes the host's text, which it frees. */
PyObject *text(native_string_t *);
/* Makes a type, and adds it to the module under the last part of its name. */
PyTypeObject *add_type(PyObject *module, PyType_Spec *);
/* Frees an object whose type is made by `add_type`. */
void free_object(PyObject *);

/* A timeout that the Python part has read: nanoseconds, or None. `limit` is where it goes.
 * Gives NULL for None; `ok` tells a mistake. */
uint64_t *read_timeout(PyObject *, uint64_t *limit, bool *ok);

/* What a timeout that is given by the script means, without the Python part. */
enum patience { FOREVER, NOT_AT_ALL, A_WHILE, ASK_PYTHON };
enum patience read_patience(PyObject *timeout);

/* Whether a notification may arrive: then every call looks for it, in Python. */
extern bool awaited;

/* Calls a method that is written in Python, with the arguments of this call. */
PyObject *call_python(PyObject *name, PyObject *self, PyObject *const *, Py_ssize_t count, PyObject *names);

/* Some byte of the guest's own memory: it tells the host which memory is to be mapped to. */
#define PROBE (&(native_list_u8_t){(uint8_t *)"", 1})

/* ---- copy.c ------------------------------------------------------------------------- */

/* Whether an address is mapped, beyond the guest's own memory. Bulk instructions do not
 * reach it, and the host takes no list that is there. */
static inline bool is_mapped(const void *address) {
	return (uintptr_t)address >> 16 >= __builtin_wasm_memory_size(0);
}
/* As memmove, for mapped memory too. */
void copy(void *to, const void *from, size_t length);

/* The bytes of an object, for the host: where they are mapped, a copy. */
struct bytes {
	Py_buffer view;
	void *copy;
	native_list_u8_t list;
};
bool bytes_open(struct bytes *, PyObject *);
void bytes_close(struct bytes *);

/* ---- descriptors.c ------------------------------------------------------------------ */

typedef struct {
	PyObject head;
	int32_t handle; /* 0: closed */
	uint32_t number;
} Segment;

typedef struct {
	PyObject head;
	int32_t handle; /* 0: closed */
	uint32_t number;
	bool block;
	uint32_t max_message_size;
	uint8_t *buffer; /* for one message */
} Queue;

extern PyTypeObject *segment_type, *queue_type;

/* The host takes at least so many bytes in one call. */
#define ONE_CALL (1u << 20)

/* Both raise what fails. A read ends where the segment ends. */
bool segment_read(Segment *, uint64_t offset, uint8_t *to, size_t length, size_t *read);
bool segment_write(Segment *, uint64_t offset, const uint8_t *from, size_t length);

/* The queue of a descriptor's number: a borrowed reference, or NULL. */
Queue *queue_of(int number);

/* ---- allocator.c ----------------------------------------------------------------------- */

void allocator_install(void);

/* ---- each file's types and functions ------------------------------------------------- */

bool semaphore_init(PyObject *module);
bool segment_init(PyObject *module);
bool queue_init(PyObject *module);
bool poll_init(PyObject *module);
bool map_init(PyObject *module);

PyObject *new_pollable(int32_t handle);
PyObject *new_notification(int32_t handle);

extern PyMethodDef descriptor_methods[], poll_methods[];

#endif
