"""Descriptors of segments and queues.

A guest's C library knows no descriptor of a segment or a queue, so this module hands out
numbers of its own, far above the C library's, and teaches them to the functions of `os`
that make sense for them.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable
from typing import Any, Final, NoReturn

from . import _errors
from ._host import Err

FIRST: Final = 1 << 16
"""The first number. The C library counts from 0 and reuses what is free."""

# The host promises at least so much for one call.
_CHUNK: Final = 1 << 20


class Descriptor:
    """What numbers are for: shared by those that `os.dup` made of one."""

    def __init__(self) -> None:
        self.references = 0

    def release(self) -> None:
        """Gives up one reference; the last one closes the host's handle."""
        self.references -= 1
        if self.references == 0:
            self.close()

    def close(self) -> None:
        raise NotImplementedError

    def status(self) -> os.stat_result:
        raise NotImplementedError

    def pollable(self, *, write: bool) -> Any:
        """The host's pollable for one direction; None where it is always ready."""
        raise NotImplementedError


class SegmentDescriptor(Descriptor):
    """An open segment, with the position of `os.read` and its relatives."""

    def __init__(self, handle: Any, *, may_write: bool) -> None:
        super().__init__()
        self.handle = handle
        self.may_write = may_write
        self.position = 0

    def close(self) -> None:
        self.handle.__exit__(None, None, None)

    def size(self) -> int:
        size: int = _call(self.handle.size)
        return size

    def resize(self, size: int) -> None:
        if size < 0 or size >= 1 << 63 or not self.may_write:
            _fail(errno.EINVAL)
        _call(self.handle.resize, size)

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes, fewer where the segment ends."""
        part: bytes = _call(self.handle.read, offset, length)
        if len(part) == length or not part:
            return part
        parts = [part]
        done = len(part)
        while done < length:
            part = _call(self.handle.read, offset + done, length - done)
            if not part:
                break
            parts.append(part)
            done += len(part)
        return b"".join(parts)

    def write(self, offset: int, data: bytes) -> None:
        """Writes all of the bytes, all of which must fit."""
        if len(data) <= _CHUNK:
            _call(self.handle.write, offset, data)
            return
        for start in range(0, len(data), _CHUNK):
            _call(self.handle.write, offset + start, data[start : start + _CHUNK])

    def write_file(self, offset: int, data: bytes) -> int:
        """Writes as to a file, which grows where it has to."""
        if not self.may_write:
            _fail(errno.EBADF)
        if data and offset + len(data) > self.size():
            self.resize(offset + len(data))
        self.write(offset, data)
        return len(data)

    def seek(self, position: int, whence: int) -> int:
        if whence == os.SEEK_CUR:
            position += self.position
        elif whence == os.SEEK_END:
            position += self.size()
        elif whence != os.SEEK_SET:
            _fail(errno.EINVAL)
        if position < 0:
            _fail(errno.EINVAL)
        self.position = position
        return position

    def status(self) -> os.stat_result:
        size = self.size()
        mode = stat.S_IFREG | _call(self.handle.mode)
        return os.stat_result((mode, 0, 0, 1, 0, 0, size, 0, 0, 0))

    def pollable(self, *, write: bool) -> Any:
        return None


class QueueDescriptor(Descriptor):
    """An open queue, which can be waited for."""

    def __init__(self, handle: Any) -> None:
        super().__init__()
        self.handle = handle
        self.block = True

    def close(self) -> None:
        self.handle.__exit__(None, None, None)

    def status(self) -> os.stat_result:
        mode = stat.S_IFREG | _call(self.handle.mode)
        return os.stat_result((mode, 0, 0, 1, 0, 0, 0, 0, 0, 0))

    def pollable(self, *, write: bool) -> Any:
        subscribe = self.handle.subscribe_writable if write else self.handle.subscribe_readable
        return _call(subscribe)


_open: dict[int, Descriptor] = {}
_next = FIRST


def add(descriptor: Descriptor) -> int:
    """A number for a descriptor."""
    global _next
    number = _next
    _next += 1
    descriptor.references += 1
    _open[number] = descriptor
    return number


def get(number: object) -> Descriptor | None:
    """What a number is for, if it is open."""
    return _open.get(number) if isinstance(number, int) else None


def is_ours(number: object) -> bool:
    """Whether a number is one of this module's, open or not."""
    return isinstance(number, int) and number >= FIRST


def close(number: int) -> None:
    """Closes a number, as `os.close` does."""
    descriptor = _open.pop(number, None)
    if descriptor is None:
        _fail(errno.EBADF)
    descriptor.release()


class SegmentIO(io.RawIOBase):
    """A segment as a file, for `os.fdopen`."""

    def __init__(self, number: int, *, write: bool, read: bool, close_number: bool) -> None:
        super().__init__()
        self._descriptor = _segment(number)
        if write and not self._descriptor.may_write:
            _fail(errno.EACCES)
        self._descriptor.references += 1
        self._number = number
        self._may_write = write
        self._may_read = read
        self._close_number = close_number
        self.mode = "rb+" if read and write else "wb" if write else "rb"
        self.name = number

    def fileno(self) -> int:
        return self._number

    def readable(self) -> bool:
        return self._may_read

    def writable(self) -> bool:
        return self._may_write

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = _read(self._number, len(view))
        view[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        return _write(self._number, data)

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        return self._descriptor.seek(position, whence)

    def truncate(self, size: int | None = None) -> int:
        size = self._descriptor.position if size is None else size
        self._descriptor.resize(size)
        return size

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._descriptor.release()
            if self._close_number and get(self._number) is not None:
                close(self._number)


# ---- The functions of `os` ----------------------------------------------------------------


def _read(number: int, length: int) -> bytes:
    descriptor = _segment(number)
    if length < 0:
        _fail(errno.EINVAL)
    data = descriptor.read(descriptor.position, length)
    descriptor.position += len(data)
    return data


def _write(number: int, data: Any) -> int:
    descriptor = _segment(number)
    written = descriptor.write_file(descriptor.position, bytes(data))
    descriptor.position += written
    return written


def _pread(number: int, length: int, offset: int) -> bytes:
    if length < 0 or offset < 0:
        _fail(errno.EINVAL)
    return _segment(number).read(offset, length)


def _pwrite(number: int, data: Any, offset: int) -> int:
    if offset < 0:
        _fail(errno.EINVAL)
    return _segment(number).write_file(offset, bytes(data))


def _lseek(number: int, position: int, whence: int) -> int:
    return _segment(number).seek(position, whence)


def _ftruncate(number: int, length: int) -> None:
    _segment(number).resize(length)


def _fstat(number: int) -> os.stat_result:
    return _any(number).status()


def _dup(number: int) -> int:
    return add(_any(number))


def _fsync(number: int) -> None:
    _any(number)


def _isatty(number: int) -> bool:
    _any(number)
    return False


def _get_blocking(number: int) -> bool:
    descriptor = _any(number)
    return descriptor.block if isinstance(descriptor, QueueDescriptor) else True


def _set_blocking(number: int, blocking: bool) -> None:
    descriptor = _any(number)
    if isinstance(descriptor, QueueDescriptor):
        descriptor.block = bool(blocking)


def _get_inheritable(number: int) -> bool:
    _any(number)
    return False


def _fdopen(
    number: int,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
) -> Any:
    update = "+" in mode
    read, write = "r" in mode or update, "r" not in mode or update
    raw = SegmentIO(number, read=read, write=write, close_number=closefd)
    if "w" in mode:
        raw.truncate(0)
    elif "a" in mode:
        raw.seek(0, os.SEEK_END)
    if buffering == 0:
        if "b" not in mode:
            raise ValueError("can't have unbuffered text I/O")
        return raw
    size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
    if read and write:
        buffered: Any = io.BufferedRandom(raw, size)
    else:
        buffered = io.BufferedWriter(raw, size) if write else io.BufferedReader(raw, size)
    if "b" in mode:
        return buffered
    return io.TextIOWrapper(buffered, encoding or "utf-8", errors, newline, buffering == 1)


_FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "close": close,
    "dup": _dup,
    "fdatasync": _fsync,
    "fdopen": _fdopen,
    "fstat": _fstat,
    "fsync": _fsync,
    "ftruncate": _ftruncate,
    "get_blocking": _get_blocking,
    "get_inheritable": _get_inheritable,
    "isatty": _isatty,
    "lseek": _lseek,
    "pread": _pread,
    "pwrite": _pwrite,
    "read": _read,
    "set_blocking": _set_blocking,
    "stat": _fstat,
    "truncate": _ftruncate,
    "write": _write,
}


def _dispatching(ours: Callable[..., Any], theirs: Callable[..., Any]) -> Callable[..., Any]:
    def function(fd: Any, /, *args: Any, **named: Any) -> Any:
        if isinstance(fd, int) and fd >= FIRST:
            return ours(fd, *args, **named)
        return theirs(fd, *args, **named)

    function.__name__ = theirs.__name__
    function.__qualname__ = theirs.__qualname__
    function.__doc__ = theirs.__doc__
    return function


def install() -> None:
    """Teaches this module's numbers to `os`. The C library's go on as before."""
    for name, ours in _FUNCTIONS.items():
        theirs = getattr(os, name, None)
        if theirs is None:
            setattr(os, name, ours)
        else:
            wrapped = _dispatching(ours, theirs)
            for known in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks):
                if theirs in known:
                    known.add(wrapped)
            setattr(os, name, wrapped)


# -------------------------------------------------------------------------------------------


def _any(number: int) -> Descriptor:
    return _open.get(number) or _fail(errno.EBADF)


def _segment(number: int) -> SegmentDescriptor:
    descriptor = _any(number)
    if not isinstance(descriptor, SegmentDescriptor):
        _fail(errno.EINVAL)
    return descriptor


def segment(number: int) -> SegmentDescriptor:
    """The segment that a number is for; an OSError if there is none."""
    return _segment(number)


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Err as error:
        raise _errors.os_error(error) from None


def _fail(number: int) -> NoReturn:
    raise OSError(number, os.strerror(number))
