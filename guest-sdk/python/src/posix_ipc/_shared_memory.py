"""Shared memory."""

from __future__ import annotations

import errno
import operator
from typing import Any, Self

import _posix_ipc

from . import _arguments, _descriptors, _errors, _events
from ._errors import ExistentialError
from ._object import NamedObject

_SIZE_MAX = 2**63 - 1
_BAD_SIZE = "The size is invalid or the memory is read-only"


class SharedMemory(NamedObject):
    """A segment of shared memory, to be mapped with `mmap.mmap(memory.fd, memory.size)`.

    flags: O_CREAT makes it if it does not exist, O_CREX only then, O_TRUNC empties it. A
    size above 0 is set whether or not the segment is new. The name None, with O_CREX, is a
    random one.
    """

    __module__ = "posix_ipc"
    __slots__ = ("_fd", "_mode", "_name")

    _fd: int

    def __new__(cls, *_args: Any, **_named: Any) -> Self:
        self = super().__new__(cls)
        self._fd = -1
        return self

    def __init__(
        self,
        name: str | bytes | None,
        flags: int = 0,
        mode: int = 0o600,
        size: int = 0,
        read_only: bool = False,
    ) -> None:
        flags = _arguments.c_int(flags)
        mode = _arguments.c_int(mode)
        size = operator.index(size)
        read_only = bool(read_only)
        wanted = _arguments.open_flags(flags)
        named = _arguments.name(name, flags)
        if not 0 <= size <= _SIZE_MAX or (size and read_only):
            raise ValueError(_BAD_SIZE)
        _events.deliver()
        table = _errors.MEMORY_TRUNCATE if flags & _arguments.O_TRUNC else _errors.MEMORY_OPEN
        segment = _posix_ipc.Segment()
        try:
            if named is None:
                named = segment.create_unique(_arguments.unique_prefix(), mode & 0o777)
            else:
                access = _arguments.READ if read_only else _arguments.READ_WRITE
                segment.open(_arguments.canonical(named), wanted, mode & 0o777, access)
            if size:
                table = _errors.MEMORY_RESIZE
                segment.resize(size)
        except _posix_ipc.CallError as error:
            segment.close()
            raise _errors.exception(error, table, named) from None
        descriptor = _descriptors.SegmentDescriptor(segment, may_write=not read_only)
        self._fd = _descriptors.add(descriptor)
        self._name = named
        self._mode = mode

    def __repr__(self) -> str:
        return f'posix_ipc.SharedMemory("{self}", mode=0{self._mode:o})'

    @property
    def fd(self) -> int:
        """The descriptor, for `mmap` and `os`; -1 when it is closed."""
        return self._fd

    def fileno(self) -> int:
        """The descriptor."""
        return self._fd

    @property
    def size(self) -> int:
        """The size in bytes."""
        descriptor = _descriptors.get(self._fd)
        if not _descriptors.is_segment(descriptor):
            raise ExistentialError("The segment does not exist")
        try:
            return descriptor.segment.size()
        except _posix_ipc.CallError as error:
            raise _errors.exception(error, _errors.MEMORY_USE, self._name) from None

    def close_fd(self) -> None:
        """Closes the descriptor, if it is open. Maps stay usable."""
        if self._fd == -1:
            return
        try:
            _descriptors.close(self._fd)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            raise ValueError("The file descriptor is invalid") from None
        self._fd = -1

    def unlink(self) -> None:
        """Removes the name, also after `close_fd`."""
        unlink(self._named())


def unlink(name: str) -> None:
    """Removes a segment's name."""
    try:
        _posix_ipc.Segment.unlink(_arguments.canonical(name))
    except _posix_ipc.CallError as error:
        raise _errors.exception(error, _errors.MEMORY_UNLINK, name) from None
