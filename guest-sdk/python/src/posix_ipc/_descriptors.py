"""Descriptors of segments and queues.

A guest's C library knows no descriptor of a segment or a queue. This module has it open
something else, which gives the lowest number that is free, as POSIX has it; and teaches the
functions of `os` what the number is for.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeIs

import _posix_ipc

from . import _errors

# Where the C library gives no number: far above its own.
_FIRST: Final = 1000


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

    def __init__(self, segment: _posix_ipc.Segment, *, may_write: bool) -> None:
        super().__init__()
        self.segment = segment
        self.may_write = may_write
        self.position = 0

    def close(self) -> None:
        self.segment.close()

    def size(self) -> int:
        size: int = _call(self.segment.size)
        return size

    def resize(self, size: int) -> None:
        if size < 0 or size >= 1 << 63 or not self.may_write:
            _fail(errno.EINVAL)
        _call(self.segment.resize, size)

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes, fewer where the segment ends."""
        data: bytes = _call(self.segment.read, offset, length)
        return data

    def write_file(self, offset: int, data: Any) -> int:
        """Writes as to a file, which grows where it has to."""
        if not self.may_write:
            _fail(errno.EBADF)
        with memoryview(data) as view:
            length = view.nbytes
        if length and offset + length > self.size():
            self.resize(offset + length)
        _call(self.segment.write, offset, data)
        return length

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
        mode = stat.S_IFREG | _call(self.segment.mode)
        return os.stat_result((mode, 0, 0, 1, 0, 0, size, 0, 0, 0))

    def pollable(self, *, write: bool) -> Any:
        return None


class QueueDescriptor(Descriptor, _posix_ipc.Queue):
    """An open queue, which can be waited for. The methods are those of the host's handle."""

    def close(self) -> None:
        _posix_ipc.Queue.close(self)

    def status(self) -> os.stat_result:
        mode = stat.S_IFREG | _call(self.mode)
        return os.stat_result((mode, 0, 0, 1, 0, 0, 0, 0, 0, 0))

    def pollable(self, *, write: bool) -> Any:
        subscribe = self.subscribe_writable if write else self.subscribe_readable
        return _call(subscribe)


# What to open so that a number is taken: every script can read its folder.
folder = "."

# As they are before `install`; where this module is imported anew, its own from before,
# which do the same.
_plain_close = os.close
_plain_closerange = os.closerange

get = _posix_ipc.descriptor
"""What a number is for, if it is open and one of this module's."""


def add(descriptor: Descriptor) -> int:
    """A number for a descriptor: the lowest that is free."""
    try:
        number = os.open(folder, os.O_RDONLY)
    except OSError:
        number = _FIRST
        while get(number) is not None:
            number += 1
    _posix_ipc.set_descriptor(number, descriptor)
    descriptor.references += 1
    return number


def is_ours(number: object) -> bool:
    """Whether a number is one of this module's."""
    return get(number) is not None


def close(number: int) -> None:
    """Closes a number, as `os.close` does."""
    descriptor = get(number)
    if descriptor is None:
        _fail(errno.EBADF)
    _posix_ipc.set_descriptor(number, None)
    if number < _FIRST:
        _plain_close(number)
    descriptor.release()


def _closerange(low: int, high: int) -> None:
    for number in range(low, min(high, _posix_ipc.descriptors_end())):
        if get(number) is not None:
            close(number)
    _plain_closerange(low, high)


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
    written = descriptor.write_file(descriptor.position, data)
    descriptor.position += written
    return written


def _pread(number: int, length: int, offset: int) -> bytes:
    if length < 0 or offset < 0:
        _fail(errno.EINVAL)
    return _segment(number).read(offset, length)


def _pwrite(number: int, data: Any, offset: int) -> int:
    if offset < 0:
        _fail(errno.EINVAL)
    return _segment(number).write_file(offset, data)


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
    return descriptor.block if isinstance(descriptor, _posix_ipc.Queue) else True


def _set_blocking(number: int, blocking: bool) -> None:
    descriptor = _any(number)
    if isinstance(descriptor, _posix_ipc.Queue):
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
        if get(fd) is not None:
            return ours(fd, *args, **named)
        return theirs(fd, *args, **named)

    function.__name__ = theirs.__name__
    function.__qualname__ = theirs.__qualname__
    function.__doc__ = theirs.__doc__
    return function


def install() -> None:
    """Teaches this module's numbers to `os`. The C library's go on as before."""
    os.closerange = _closerange
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
    descriptor: Descriptor | None = get(number)
    return descriptor or _fail(errno.EBADF)


def is_segment(descriptor: object) -> TypeIs[SegmentDescriptor]:
    """Whether a descriptor is a segment's. It may be of this module before it was imported
    anew, which had a class of its own."""
    return isinstance(getattr(descriptor, "segment", None), _posix_ipc.Segment)


def _segment(number: int) -> SegmentDescriptor:
    descriptor = _any(number)
    if not is_segment(descriptor):
        _fail(errno.EINVAL)
    return descriptor


def segment(number: int) -> SegmentDescriptor:
    """The segment that a number is for; an OSError if there is none."""
    return _segment(number)


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except _posix_ipc.CallError as error:
        raise _errors.os_error(error) from None


def _fail(number: int) -> NoReturn:
    raise OSError(number, os.strerror(number))
