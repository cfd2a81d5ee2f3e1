/* Descriptors of shared memory and queues, among the C library's own. The linker puts
 * the functions here in the place of the C library's (--wrap). */
#include "internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

off_t __wasilibc_tell(int);
WRAPS(fd, (void *)read, (void *)write, (void *)readv, (void *)writev, (void *)pread, (void *)pwrite,
	(void *)close, (void *)lseek, (void *)ftruncate, (void *)fstat, (void *)fcntl, (void *)fsync,
	(void *)fdatasync, (void *)posix_fallocate, (void *)__wasilibc_tell, (void *)sysconf);

/* Far above what the C library counts up to. */
#define FIRST_NUMBER 0x40000000

static struct descriptor **table;
static size_t table_length;

struct descriptor *descriptor_of(int number) {
	size_t index = (size_t)(number - FIRST_NUMBER);
	return number >= FIRST_NUMBER && index < table_length ? table[index] : NULL;
}

int descriptor_add(const struct descriptor *new) {
	size_t index = 0;
	while (index < table_length && table[index])
		index++;
	if (index == table_length) {
		size_t longer = table_length ? 2 * table_length : 8;
		struct descriptor **grown = realloc(table, longer * sizeof *grown);
		if (!grown)
			return fail_with(ENOMEM);
		memset(grown + table_length, 0, (longer - table_length) * sizeof *grown);
		table = grown;
		table_length = longer;
	}
	table[index] = malloc(sizeof *new);
	if (!table[index])
		return fail_with(ENOMEM);
	*table[index] = *new;
	return FIRST_NUMBER + (int)index;
}

int descriptor_close(int number) {
	struct descriptor *descriptor = descriptor_of(number);
	if (descriptor->kind == SEGMENT) {
		segment_release(descriptor->segment);
	} else {
		deliver();
		cancel_notification(descriptor);
		posix_ipc_message_queue_queue_drop_own((posix_ipc_message_queue_own_queue_t){descriptor->queue.__handle});
	}
	table[number - FIRST_NUMBER] = NULL;
	free(descriptor);
	return 0;
}

/* ---- shared memory ------------------------------------------------------------------ */

int shm_open(const char *text, int flags, mode_t mode) {
	struct name name;
	if (!file_name(&name, text, ""))
		return -1;
	struct descriptor descriptor = {.kind = SEGMENT};
	posix_ipc_types_access_t access;
	switch (flags & O_RDWR) {
	case O_RDWR:
		descriptor.access = O_RDWR;
		access = POSIX_IPC_TYPES_ACCESS_READ_WRITE;
		break;
	case O_WRONLY:
		return fail_with(EINVAL);
	default:
		descriptor.access = O_RDONLY;
		access = POSIX_IPC_TYPES_ACCESS_READ;
	}
	posix_ipc_types_open_flags_t open_flags = 0;
	if (flags & O_CREAT)
		open_flags |= POSIX_IPC_TYPES_OPEN_FLAGS_CREATE;
	if ((flags & O_CREAT) && (flags & O_EXCL))
		open_flags |= POSIX_IPC_TYPES_OPEN_FLAGS_EXCLUSIVE;
	if (flags & O_TRUNC)
		open_flags |= POSIX_IPC_TYPES_OPEN_FLAGS_TRUNCATE;
	struct segment *segment = malloc(sizeof *segment);
	if (!segment)
		return fail_with(ENOMEM);
	posix_ipc_shared_memory_own_segment_t handle;
	ipc_error error;
	if (!posix_ipc_shared_memory_static_segment_open(&name.string, open_flags, new_mode(mode), NULL, access,
			&handle, &error)) {
		free(segment);
		return ipc_fail(&error, A_NAME);
	}
	*segment = (struct segment){posix_ipc_shared_memory_borrow_segment(handle), 1, may_write(&descriptor)};
	descriptor.segment = segment;
	int number = descriptor_add(&descriptor);
	if (number < 0)
		segment_release(segment);
	return number;
}

int shm_unlink(const char *text) {
	struct name name;
	if (!file_name(&name, text, ""))
		return fail_with(errno == EINVAL ? ENOENT : errno);
	ipc_error error;
	if (!posix_ipc_shared_memory_unlink(&name.string, &error))
		return ipc_fail(&error, A_NAME);
	return 0;
}

static bool size_of(const struct descriptor *d, uint64_t *size, ipc_error *error) {
	return posix_ipc_shared_memory_method_segment_size(d->segment->handle, size, error);
}

/* ---- reading and writing ------------------------------------------------------------ */

/* What is read here may be how a peer says that memory has changed, and what is written
 * how the guest says it. */

static ssize_t read_at(const struct descriptor *d, void *buffer, size_t length, int64_t offset) {
	if (d->kind != SEGMENT)
		return fail_with(EINVAL);
	if (offset < 0)
		return fail_with(EINVAL);
	push();
	size_t done = 0;
	while (done < length) {
		posix_ipc_list_u8_t bytes;
		ipc_error error;
		if (!posix_ipc_shared_memory_method_segment_read(d->segment->handle, (uint64_t)offset + done,
				length - done, &bytes, &error)) {
			if (done > 0) {
				posix_ipc_types_error_code_free(&error);
				break;
			}
			return ipc_fail(&error, A_DESCRIPTOR);
		}
		size_t count = bytes.len;
		if (count > 0)
			memcpy((char *)buffer + done, bytes.ptr, count);
		posix_ipc_list_u8_free(&bytes);
		if (count == 0)
			break;
		done += count;
	}
	return (ssize_t)done;
}

static ssize_t write_at(const struct descriptor *d, const void *buffer, size_t length, int64_t offset) {
	if (!may_write(d))
		return fail_with(EBADF);
	if (d->kind != SEGMENT || offset < 0)
		return fail_with(EINVAL);
	if (length == 0)
		return 0;
	uint64_t size, end;
	if (__builtin_add_overflow((uint64_t)offset, length, &end) || end > INT64_MAX)
		return fail_with(EFBIG);
	ipc_error error;
	void *copy;
	const void *lent = lend(buffer, length, &copy);
	if (!lent)
		return -1;
	posix_ipc_list_u8_t bytes = {(uint8_t *)lent, length};
	/* As a file, memory grows to what is written. */
	bool done = size_of(d, &size, &error)
		&& (size >= end || posix_ipc_shared_memory_method_segment_resize(d->segment->handle, end, &error))
		&& posix_ipc_shared_memory_method_segment_write(d->segment->handle, (uint64_t)offset, &bytes, &error);
	free(copy);
	if (!done)
		return ipc_fail(&error, A_DESCRIPTOR);
	meet();
	return (ssize_t)length;
}

ssize_t __real_read(int, void *, size_t);
ssize_t __real_write(int, const void *, size_t);
ssize_t __real_readv(int, const struct iovec *, int);
ssize_t __real_writev(int, const struct iovec *, int);
ssize_t __real_pread(int, void *, size_t, off_t);
ssize_t __real_pwrite(int, const void *, size_t, off_t);

/* As the functions of the C library that they call, for memory in mappings too. */

static ssize_t read_file(int number, void *buffer, size_t length, const off_t *offset) {
	void *into = buffer;
	if (length > 0 && is_mapped(buffer) && !(into = malloc(length)))
		return fail_with(ENOMEM);
	ssize_t result = offset ? __real_pread(number, into, length, *offset) : __real_read(number, into, length);
	if (into != buffer) {
		if (result > 0)
			memcpy(buffer, into, (size_t)result);
		free(into);
	}
	return result;
}

static ssize_t write_file(int number, const void *buffer, size_t length, const off_t *offset) {
	void *copy;
	const void *lent = lend(buffer, length, &copy);
	if (!lent && length > 0)
		return -1;
	ssize_t result = offset ? __real_pwrite(number, lent, length, *offset) : __real_write(number, lent, length);
	free(copy);
	return result;
}

static bool any_mapped(const struct iovec *buffers, int count) {
	for (int i = 0; i < count; i++)
		if (buffers[i].iov_len > 0 && is_mapped(buffers[i].iov_base))
			return true;
	return false;
}

ssize_t __wrap_read(int number, void *buffer, size_t length) {
	struct descriptor *d = descriptor_of(number);
	if (!d) {
		push();
		ssize_t result = read_file(number, buffer, length, NULL);
		pull();
		return result;
	}
	ssize_t result = read_at(d, buffer, length, d->position);
	if (result > 0)
		d->position += result;
	return result;
}

ssize_t __wrap_write(int number, const void *buffer, size_t length) {
	push();
	struct descriptor *d = descriptor_of(number);
	if (!d)
		return write_file(number, buffer, length, NULL);
	ssize_t result = write_at(d, buffer, length, d->position);
	if (result > 0)
		d->position += result;
	return result;
}

ssize_t __wrap_pread(int number, void *buffer, size_t length, off_t offset) {
	struct descriptor *d = descriptor_of(number);
	return d ? read_at(d, buffer, length, offset) : read_file(number, buffer, length, &offset);
}

ssize_t __wrap_pwrite(int number, const void *buffer, size_t length, off_t offset) {
	push();
	struct descriptor *d = descriptor_of(number);
	return d ? write_at(d, buffer, length, offset) : write_file(number, buffer, length, &offset);
}

/* One buffer after the other, as long as each is done whole. */
static ssize_t each(const struct iovec *buffers, int count, int number, bool reading) {
	ssize_t all = 0;
	for (int i = 0; i < count; i++) {
		ssize_t done = reading ? __wrap_read(number, buffers[i].iov_base, buffers[i].iov_len)
			: __wrap_write(number, buffers[i].iov_base, buffers[i].iov_len);
		if (done < 0)
			return all > 0 ? all : -1;
		all += done;
		if ((size_t)done < buffers[i].iov_len)
			break;
	}
	return all;
}

ssize_t __wrap_readv(int number, const struct iovec *buffers, int count) {
	if (descriptor_of(number) || any_mapped(buffers, count))
		return each(buffers, count, number, true);
	push();
	ssize_t result = __real_readv(number, buffers, count);
	pull();
	return result;
}

ssize_t __wrap_writev(int number, const struct iovec *buffers, int count) {
	if (descriptor_of(number) || any_mapped(buffers, count))
		return each(buffers, count, number, false);
	push();
	return __real_writev(number, buffers, count);
}

/* ---- the rest of what takes a descriptor -------------------------------------------- */

int __real_close(int);
off_t __real_lseek(int, off_t, int);
int __real_ftruncate(int, off_t);
int __real_fstat(int, struct stat *);
int __real_fcntl(int, int, ...);
int __real_fsync(int);
int __real_fdatasync(int);
int __real_posix_fallocate(int, off_t, off_t);

int __wrap_close(int number) {
	return descriptor_of(number) ? descriptor_close(number) : __real_close(number);
}

off_t __wrap_lseek(int number, off_t offset, int from) {
	struct descriptor *d = descriptor_of(number);
	if (!d)
		return __real_lseek(number, offset, from);
	if (d->kind != SEGMENT)
		return fail_with(EINVAL);
	uint64_t start = 0;
	ipc_error error;
	if (from == SEEK_CUR)
		start = (uint64_t)d->position;
	else if (from == SEEK_END && !size_of(d, &start, &error))
		return ipc_fail(&error, A_DESCRIPTOR);
	else if (from != SEEK_SET && from != SEEK_END)
		return fail_with(EINVAL);
	int64_t position;
	if (__builtin_add_overflow((int64_t)start, (int64_t)offset, &position))
		return fail_with(EOVERFLOW);
	if (position < 0)
		return fail_with(EINVAL);
	return d->position = position;
}

off_t __real___wasilibc_tell(int);

/* What the C library's header makes of `lseek(fd, 0, SEEK_CUR)`. */
off_t __wrap___wasilibc_tell(int number) {
	return descriptor_of(number) ? __wrap_lseek(number, 0, SEEK_CUR) : __real___wasilibc_tell(number);
}

int __wrap_ftruncate(int number, off_t length) {
	struct descriptor *d = descriptor_of(number);
	if (!d)
		return __real_ftruncate(number, length);
	if (length < 0 || d->kind != SEGMENT || !may_write(d))
		return fail_with(EINVAL);
	push();
	ipc_error error;
	bool done = posix_ipc_shared_memory_method_segment_resize(d->segment->handle, (uint64_t)length, &error);
	pull();
	return done ? 0 : ipc_fail(&error, A_DESCRIPTOR);
}

int __wrap_posix_fallocate(int number, off_t offset, off_t length) {
	struct descriptor *d = descriptor_of(number);
	if (!d)
		return __real_posix_fallocate(number, offset, length);
	int64_t end;
	if (offset < 0 || length <= 0)
		return EINVAL;
	if (d->kind != SEGMENT || !may_write(d))
		return EBADF;
	if (__builtin_add_overflow((int64_t)offset, (int64_t)length, &end))
		return EFBIG;
	uint64_t size;
	ipc_error error;
	if (size_of(d, &size, &error)
		&& (size >= (uint64_t)end
			|| posix_ipc_shared_memory_method_segment_resize(d->segment->handle, (uint64_t)end, &error)))
		return 0;
	return ipc_errno(&error, A_DESCRIPTOR);
}

int __wrap_fstat(int number, struct stat *status) {
	struct descriptor *d = descriptor_of(number);
	if (!d)
		return __real_fstat(number, status);
	meet();
	/* What the system shows as the size of a queue. */
	uint64_t size = 80;
	uint32_t mode;
	ipc_error error;
	bool known = d->kind == SEGMENT
		? size_of(d, &size, &error) && posix_ipc_shared_memory_method_segment_mode(d->segment->handle, &mode, &error)
		: posix_ipc_message_queue_method_queue_mode(d->queue, &mode, &error);
	if (!known)
		return ipc_fail(&error, A_DESCRIPTOR);
	*status = (struct stat){
		.st_mode = S_IFREG | mode,
		.st_nlink = 1,
		.st_size = (off_t)size,
		.st_blksize = (blksize_t)page_size(),
		.st_blocks = (blkcnt_t)((size + 511) / 512),
	};
	return 0;
}

int __wrap_fcntl(int number, int command, ...) {
	va_list rest;
	va_start(rest, command);
	int argument = command == F_SETFD || command == F_SETFL ? va_arg(rest, int) : 0;
	va_end(rest);
	struct descriptor *d = descriptor_of(number);
	if (!d)
		return __real_fcntl(number, command, argument);
	switch (command) {
	case F_GETFD:
		return FD_CLOEXEC;
	case F_SETFD:
		return 0;
	case F_GETFL:
		return d->access | (d->nonblock ? O_NONBLOCK : 0);
	case F_SETFL:
		d->nonblock = argument & O_NONBLOCK;
		return 0;
	default:
		return fail_with(EINVAL);
	}
}

int __wrap_fsync(int number) {
	if (!descriptor_of(number))
		return __real_fsync(number);
	push();
	return 0;
}

int __wrap_fdatasync(int number) {
	if (!descriptor_of(number))
		return __real_fdatasync(number);
	push();
	return 0;
}

/* ---- what the system's limits are --------------------------------------------------- */

long __real_sysconf(int);

long __wrap_sysconf(int what) {
	switch (what) {
	/* Not the 64 KiB of WebAssembly: what a program and its peer lay out by pages has to
	 * be in the same place for both. */
	case _SC_PAGESIZE:
		return (long)page_size();
	case _SC_SEM_VALUE_MAX:
		return (long)posix_ipc_limits_semaphore_value_max();
	case _SC_MQ_PRIO_MAX:
		return (long)posix_ipc_limits_queue_priority_max() + 1;
	default:
		return __real_sysconf(what);
	}
}

int __wrap_getpagesize(void) {
	return (int)page_size();
}
