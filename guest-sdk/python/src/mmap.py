"""`mmap` for a guest: maps of shared memory, and of nothing.

A guest cannot have a segment's pages at its own addresses, so every access of a map is a
call of the host: what one process writes, the others read at once, as with a real map. The
exception is a buffer of the map, as in `memoryview(map)` or `struct.pack_into(..., map)`:
it is a copy, whose changes are written back when the buffer is released.
"""

from __future__ import annotations

import errno
import operator
import os
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, NoReturn, Self

import posix_ipc
from posix_ipc import _descriptors

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


class _Segment:
    """The bytes of a part of a segment."""

    def __init__(self, descriptor: _descriptors.SegmentDescriptor, offset: int) -> None:
        self.descriptor = descriptor
        self.offset = offset
        descriptor.references += 1

    def read(self, start: int, length: int) -> bytes:
        data = self.descriptor.read(self.offset + start, length)
        if len(data) < length:
            raise OSError(errno.EFAULT, "The segment has been cut shorter than the map")
        return data

    def write(self, start: int, data: bytes) -> None:
        self.descriptor.write(self.offset + start, data)

    def file_size(self) -> int:
        return self.descriptor.size()

    def resize(self, size: int) -> None:
        self.descriptor.resize(self.offset + size)

    def close(self) -> None:
        self.descriptor.release()


class _Bytes:
    """Bytes of the guest's own: an anonymous map, or a private copy."""

    def __init__(self, data: bytearray, file: _descriptors.SegmentDescriptor | None) -> None:
        self.data = data
        self.file = file
        if file:
            file.references += 1

    def read(self, start: int, length: int) -> bytes:
        return bytes(self.data[start : start + length])

    def write(self, start: int, data: bytes) -> None:
        self.data[start : start + len(data)] = data

    def file_size(self) -> int:
        return self.file.size() if self.file else len(self.data)

    def resize(self, size: int) -> None:
        if size < len(self.data):
            del self.data[size:]
        else:
            self.data.extend(bytes(size - len(self.data)))

    def close(self) -> None:
        if self.file:
            self.file.release()


class mmap:  # noqa: N801
    """A map of a segment, by its descriptor, or of new memory, where that is -1."""

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
        self._may_write = may_write
        self._resizes = may_write and not copies
        self._position = 0
        self._exports = []
        if operator.index(fileno) == -1:
            if not length:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            self._length = length
            self._memory = _Bytes(bytearray(length), None)
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
        self._length = length
        if copies:
            self._memory = _Bytes(bytearray(descriptor.read(offset, length)), descriptor)
        else:
            self._memory = _Segment(descriptor, offset)
        return self

    _length: int
    _access: int
    _may_write: bool
    _resizes: bool
    _position: int
    _memory: _Segment | _Bytes | None
    # What `memoryview` was given: the copy, and its bytes when it was made.
    _exports: list[tuple[bytearray, bytes]]

    def __repr__(self) -> str:
        if self._memory is None:
            return "<mmap.mmap closed=True>"
        access = ("ACCESS_DEFAULT", "ACCESS_READ", "ACCESS_WRITE", "ACCESS_COPY")[self._access]
        offset = self._memory.offset if isinstance(self._memory, _Segment) else 0
        return (
            f"<mmap.mmap closed=False, access={access}, length={self._length}, "
            f"pos={self._position}, offset={offset}>"
        )

    # ---- Life ------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether the map is closed."""
        return self._memory is None

    def close(self) -> None:
        """Closes the map. The segment stays."""
        if self._memory is None:
            return
        self._write_back()
        if self._exports:
            raise BufferError("cannot close exported pointers exist")
        self._memory.close()
        self._memory = None

    def __enter__(self) -> Self:
        self._live()
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
        memory = getattr(self, "_memory", None)
        if memory is not None:
            self._memory = None
            memory.close()

    # ---- As a sequence ---------------------------------------------------------------------

    def __len__(self) -> int:
        self._live()
        return self._length

    def __getitem__(self, key: Any) -> Any:
        memory = self._live()
        if isinstance(key, slice):
            start, stop, step = key.indices(self._length)
            if step == 1:
                return memory.read(start, stop - start) if stop > start else b""
            places = range(start, stop, step)
            if not places:
                return b""
            low = min(places[0], places[-1])
            data = memory.read(low, max(places[0], places[-1]) - low + 1)
            return bytes(data[place - low] for place in places)
        return memory.read(self._index(key), 1)[0]

    def __setitem__(self, key: Any, value: Any) -> None:
        memory = self._writable()
        if isinstance(key, slice):
            start, stop, step = key.indices(self._length)
            places = range(start, stop, step)
            data = _bytes(value)
            if len(data) != len(places):
                raise IndexError("mmap slice assignment is wrong size")
            if step == 1:
                if data:
                    memory.write(start, data)
            else:
                # One by one: what lies between is somebody else's.
                for place, byte in zip(places, data, strict=True):
                    memory.write(place, bytes((byte,)))
            return
        place = self._index(key)
        if not isinstance(value, int):
            raise TypeError("mmap item value must be an int")
        if not 0 <= value <= 255:
            raise ValueError("mmap item value must be in range(0, 256)")
        memory.write(place, bytes((value,)))

    def __iter__(self) -> Iterator[bytes]:
        for place in range(len(self)):
            yield self._live().read(place, 1)

    # ---- As a file -------------------------------------------------------------------------

    def read(self, n: int | None = None, /) -> bytes:
        """Up to n bytes from the position on."""
        memory = self._live()
        left = max(0, self._length - self._position)
        count = left if n is None or n < 0 else min(n, left)
        data = memory.read(self._position, count) if count else b""
        self._position += count
        return data

    def read_byte(self) -> int:
        """The byte at the position."""
        memory = self._live()
        if self._position >= self._length:
            raise ValueError("read byte out of range")
        self._position += 1
        return memory.read(self._position - 1, 1)[0]

    def readline(self) -> bytes:
        """From the position to the end of the line, or of the map."""
        self._live()
        end = self._search(b"\n", self._position, self._length, last=False)
        return self.read(None if end < 0 else end + 1 - self._position)

    def write(self, data: Any, /) -> int:
        """Writes all of the bytes at the position."""
        memory = self._writable()
        data = _bytes(data)
        if self._position > self._length or len(data) > self._length - self._position:
            raise ValueError("data out of range")
        if data:
            memory.write(self._position, data)
        self._position += len(data)
        return len(data)

    def write_byte(self, byte: int, /) -> None:
        """Writes one byte at the position."""
        memory = self._writable()
        value = operator.index(byte)
        if not 0 <= value <= 255:
            raise OverflowError("unsigned byte integer is out of range")
        if self._position >= self._length:
            raise ValueError("write byte out of range")
        memory.write(self._position, bytes((value,)))
        self._position += 1

    def seek(self, pos: int, whence: int = os.SEEK_SET, /) -> int:
        """Sets the position, which stays inside the map."""
        self._live()
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

    def tell(self) -> int:
        """The position."""
        self._live()
        return self._position

    def size(self) -> int:
        """The size of the segment, which can be larger than the map."""
        return self._live().file_size()

    # ---- As memory -------------------------------------------------------------------------

    def find(self, sub: Any, start: int | None = None, end: int | None = None, /) -> int:
        """Where the bytes are first, from the position or `start` on; -1 if nowhere."""
        return self._find(sub, start, end, last=False)

    def rfind(self, sub: Any, start: int | None = None, end: int | None = None, /) -> int:
        """Where the bytes are last, from the position or `start` on; -1 if nowhere."""
        return self._find(sub, start, end, last=True)

    def move(self, dest: int, src: int, count: int, /) -> None:
        """Copies bytes within the map."""
        memory = self._writable()
        if min(dest, src, count) < 0 or max(dest, src) + count > self._length:
            raise ValueError("source, destination, or count out of range")
        if count:
            memory.write(dest, memory.read(src, count))

    def resize(self, newsize: int, /) -> None:
        """Sets the size of the map, and of the segment behind it."""
        memory = self._live()
        if not self._resizes:
            raise TypeError("mmap can't resize a readonly or copy-on-write memory map.")
        self._write_back()
        if self._exports:
            raise BufferError("mmap can't resize with extant pointers exported.")
        if newsize <= 0:
            raise ValueError("new size out of range")
        memory.resize(newsize)
        self._length = newsize

    def flush(self, offset: int = 0, size: int | None = None, /) -> None:
        """Does nothing but check its arguments: others see what is written at once."""
        self._live()
        self._write_back()
        size = self._length - offset if size is None else size
        if offset < 0 or size < 0 or offset + size > self._length:
            raise ValueError("flush values out of range")

    def madvise(self, option: int, start: int = 0, length: int | None = None, /) -> None:
        """Does nothing but check its arguments."""
        self._live()
        if not 0 <= start < self._length:
            raise ValueError("madvise start out of bounds")
        if length is not None and length < 0:
            raise ValueError("madvise length invalid")

    def __buffer__(self, flags: int, /) -> memoryview:
        data = bytearray(self._live().read(0, self._length))
        if not self._may_write:
            if flags & 1:
                raise BufferError("Object is not writable.")
            return memoryview(bytes(data))
        self._exports.append((data, bytes(data)))
        return memoryview(data)

    def __release_buffer__(self, view: memoryview, /) -> None:
        view.release()
        if self._memory is not None:
            self._write_back()

    # ----------------------------------------------------------------------------------------

    def _live(self) -> _Segment | _Bytes:
        return self._memory or _closed()

    def _writable(self) -> _Segment | _Bytes:
        memory = self._live()
        if not self._may_write:
            raise TypeError("mmap can't modify a readonly memory map.")
        return memory

    def _index(self, key: Any) -> int:
        try:
            place = operator.index(key)
        except TypeError:
            raise TypeError("mmap indices must be integers") from None
        if place < 0:
            place += self._length
        if not 0 <= place < self._length:
            raise IndexError("mmap index out of range")
        return place

    def _find(self, sub: Any, start: int | None, end: int | None, *, last: bool) -> int:
        self._live()
        start = self._position if start is None else start
        end = self._length if end is None else end
        start, end, _ = slice(start, end).indices(self._length)
        return self._search(_bytes(sub), start, end, last=last)

    def _search(self, sub: bytes, start: int, end: int, *, last: bool) -> int:
        if end - start < len(sub):
            return -1
        if not sub:
            return end if last else start
        # Chunks overlap, so that what lies across two of them is found as well.
        starts = range(start, end, _CHUNK)
        for low in reversed(starts) if last else starts:
            data = self._live().read(low, min(_CHUNK + len(sub) - 1, end - low))
            found = data.rfind(sub) if last else data.find(sub)
            if found >= 0:
                return low + found
        return -1

    def _write_back(self) -> None:
        """Writes what was changed in buffers, and forgets those that were released."""
        memory = self._live()
        kept = []
        for data, before in self._exports:
            for low, high in _changes(before, data):
                memory.write(low, bytes(data[low:high]))
            try:
                # Bytes with a view on them cannot be resized.
                data.append(0)
            except BufferError:
                kept.append((data, bytes(data)))
        self._exports = kept


def _changes(before: bytes, after: bytearray) -> Iterator[tuple[int, int]]:
    """The runs of bytes that differ."""
    if before == after:
        return
    step = 4096
    for base in range(0, len(before), step):
        if before[base : base + step] == after[base : base + step]:
            continue
        start = None
        for place in range(base, min(base + step, len(before))):
            if before[place] == after[place]:
                if start is not None:
                    yield start, place
                    start = None
            elif start is None:
                start = place
        if start is not None:
            yield start, min(base + step, len(before))


def _bytes(value: Any) -> bytes:
    if type(value) is bytes:
        return value
    if isinstance(value, str) or not _has_buffer(value):
        kind = type(value).__name__
        raise TypeError(f"a bytes-like object is required, not '{kind}'")
    return bytes(memoryview(value))


def _has_buffer(value: Any) -> bool:
    try:
        memoryview(value).release()
    except TypeError:
        return False
    return True


def _closed() -> NoReturn:
    raise ValueError("mmap closed or invalid")
