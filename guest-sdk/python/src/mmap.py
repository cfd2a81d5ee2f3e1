"""`mmap` for a guest: maps of shared memory, and of nothing.

With a grant to map the segment, a map is the segment itself, and so is every buffer of it,
as in `memoryview(map)` or `struct.pack_into(..., map)`. Without, every access is a call of
the host: what one process writes, the others still read at once, but a buffer is a copy,
whose changes are written back when it is released.

What programs do often is in C, in `_posix_ipc.Map`.
"""

from __future__ import annotations

import errno
import operator
import os
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self

import _posix_ipc

import posix_ipc
from posix_ipc import _descriptors, _errors

ACCESS_DEFAULT: Final = 0
ACCESS_READ: Final = 1
ACCESS_WRITE: Final = 2
ACCESS_COPY: Final = 3

MAP_SHARED: Final = 1
MAP_PRIVATE: Final = 2
MAP_ANON: Final = 0x20
MAP_ANONYMOUS: Final = MAP_ANON

PROT_READ: Final = 1
PROT_WRITE: Final = 2
PROT_EXEC: Final = 4

MADV_NORMAL: Final = 0
MADV_RANDOM: Final = 1
MADV_SEQUENTIAL: Final = 2
MADV_WILLNEED: Final = 3
MADV_DONTNEED: Final = 4

error = OSError

# How much of a map is searched at a time.
_CHUNK: Final = 1 << 20


def __getattr__(name: str) -> int:
    if name in ("PAGESIZE", "ALLOCATIONGRANULARITY"):
        return posix_ipc.PAGE_SIZE
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class mmap(_posix_ipc.Map):  # noqa: N801
    """A map of a segment, by its descriptor, or of new memory, where that is -1."""

    __slots__ = ("__weakref__", "_access", "_descriptor", "_offset", "_resizes")

    _access: int
    _descriptor: _descriptors.SegmentDescriptor | None
    _offset: int
    _resizes: bool

    def __new__(
        cls,
        fileno: int,
        length: int,
        flags: int = MAP_SHARED,
        prot: int = PROT_WRITE | PROT_READ,
        access: int = ACCESS_DEFAULT,
        offset: int = 0,
        *,
        trackfd: bool = True,
    ) -> Self:
        length = operator.index(length)
        offset = operator.index(offset)
        if length < 0:
            raise OverflowError("memory mapped length must be positive")
        if offset < 0:
            raise OverflowError("memory mapped offset must be positive")
        if access != ACCESS_DEFAULT and (flags != MAP_SHARED or prot != PROT_WRITE | PROT_READ):
            raise ValueError("mmap can't specify both access and flags, prot.")
        if access not in (ACCESS_DEFAULT, ACCESS_READ, ACCESS_WRITE, ACCESS_COPY):
            raise ValueError("mmap invalid access parameter.")
        if offset % posix_ipc.PAGE_SIZE:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        copies = access == ACCESS_COPY or bool(flags & MAP_PRIVATE)
        may_write = access != ACCESS_READ and (access != ACCESS_DEFAULT or bool(prot & PROT_WRITE))
        self = super().__new__(cls)
        self._access = access
        self._resizes = may_write and not copies
        self._offset = offset
        self._descriptor = None
        if operator.index(fileno) == -1:
            if not length:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            self._open(None, 0, length, may_write, True)
            return self
        descriptor = _descriptors.segment(fileno)
        size = descriptor.size()
        if not length:
            if not size:
                raise ValueError("cannot mmap an empty file")
            if offset >= size:
                raise ValueError("mmap offset is greater than file size")
            length = size - offset
        elif offset > size or size - offset < length:
            raise ValueError("mmap length is greater than file size")
        if may_write and not copies and not descriptor.may_write:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        self._open(descriptor.segment, offset, length, may_write, copies)
        self._descriptor = descriptor
        descriptor.references += 1
        return self

    def __repr__(self) -> str:
        if not self._is_open:
            return "<mmap.mmap closed=True>"
        access = ("ACCESS_DEFAULT", "ACCESS_READ", "ACCESS_WRITE", "ACCESS_COPY")[self._access]
        return (
            f"<mmap.mmap closed=False, access={access}, length={self._length}, "
            f"pos={self._position}, offset={self._offset}>"
        )

    # ---- Life ------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether the map is closed."""
        return not self._is_open

    def close(self) -> None:
        """Closes the map. The segment stays."""
        self._close()
        self._release()

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self._release()

    def __iter__(self) -> Iterator[bytes]:
        for place in range(len(self)):
            yield self[place : place + 1]

    # ---- As a file -------------------------------------------------------------------------

    def readline(self) -> bytes:
        """From the position to the end of the line, or of the map."""
        self._check_open()
        end = self._search(b"\n", self._position, self._length, last=False)
        return self.read(None if end < 0 else end + 1 - self._position)

    def write_byte(self, byte: int, /) -> None:
        """Writes one byte at the position."""
        self._check_writable()
        value = operator.index(byte)
        if not 0 <= value <= 255:
            raise OverflowError("unsigned byte integer is out of range")
        if self._position >= self._length:
            raise ValueError("write byte out of range")
        self[self._position] = value
        self._position += 1

    def seek(self, pos: int, whence: int = os.SEEK_SET, /) -> int:
        """Sets the position, which stays inside the map."""
        self._check_open()
        if whence == os.SEEK_CUR:
            pos += self._position
        elif whence == os.SEEK_END:
            pos += self._length
        elif whence != os.SEEK_SET:
            raise ValueError("unknown seek type")
        if not 0 <= pos <= self._length:
            raise ValueError("seek out of range")
        self._position = pos
        return pos

    def seekable(self) -> bool:
        """Always."""
        return True

    def size(self) -> int:
        """The size of the segment, which can be larger than the map."""
        self._check_open()
        return self._descriptor.size() if self._descriptor else self._length

    # ---- As memory -------------------------------------------------------------------------

    def find(self, sub: Any, start: int | None = None, end: int | None = None, /) -> int:
        """Where the bytes are first, from the position or `start` on; -1 if nowhere."""
        return self._find(sub, start, end, last=False)

    def rfind(self, sub: Any, start: int | None = None, end: int | None = None, /) -> int:
        """Where the bytes are last, from the position or `start` on; -1 if nowhere."""
        return self._find(sub, start, end, last=True)

    def move(self, dest: int, src: int, count: int, /) -> None:
        """Copies bytes within the map."""
        self._check_writable()
        if min(dest, src, count) < 0 or max(dest, src) + count > self._length:
            raise ValueError("source, destination, or count out of range")
        self[dest : dest + count] = self[src : src + count]

    def resize(self, newsize: int, /) -> None:
        """Sets the size of the map, and of the segment behind it."""
        self._check_open()
        if not self._resizes:
            raise TypeError("mmap can't resize a readonly or copy-on-write memory map.")
        if self._exports:
            raise BufferError("mmap can't resize with extant pointers exported.")
        if newsize <= 0:
            raise ValueError("new size out of range")
        if self._descriptor:
            self._descriptor.resize(self._offset + newsize)
        self._remap(newsize)

    def flush(self, offset: int = 0, size: int | None = None, /) -> None:
        """Writes back what was changed in copies; all else others see at once."""
        self._check_open()
        self._synchronize()
        size = self._length - offset if size is None else size
        if offset < 0 or size < 0 or offset + size > self._length:
            raise ValueError("flush values out of range")

    def madvise(self, option: int, start: int = 0, length: int | None = None, /) -> None:
        """Does nothing but check its arguments."""
        self._check_open()
        if not 0 <= start < self._length:
            raise ValueError("madvise start out of bounds")
        if length is not None and length < 0:
            raise ValueError("madvise length invalid")

    # ----------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if not self._is_open:
            raise ValueError("mmap closed or invalid")

    def _check_writable(self) -> None:
        self._check_open()
        if not self._may_write:
            raise TypeError("mmap can't modify a readonly memory map.")

    def _release(self) -> None:
        descriptor, self._descriptor = getattr(self, "_descriptor", None), None
        if descriptor:
            descriptor.release()

    def _os_error(self, failure: _posix_ipc.CallError) -> OSError:
        return _errors.os_error(failure)

    def _find(self, sub: Any, start: int | None, end: int | None, *, last: bool) -> int:
        self._check_open()
        start = self._position if start is None else start
        end = self._length if end is None else end
        start, end, _ = slice(start, end).indices(self._length)
        with memoryview(sub) as view:
            return self._search(bytes(view), start, end, last=last)

    def _search(self, sub: bytes, start: int, end: int, *, last: bool) -> int:
        if end - start < len(sub):
            return -1
        if not sub:
            return end if last else start
        # Chunks overlap, so that what lies across two of them is found as well.
        starts = range(start, end, _CHUNK)
        for low in reversed(starts) if last else starts:
            data = self[low : min(low + _CHUNK + len(sub) - 1, end)]
            found: int = data.rfind(sub) if last else data.find(sub)
            if found >= 0:
                return low + found
        return -1
