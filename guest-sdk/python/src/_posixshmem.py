"""What `multiprocessing.shared_memory` is made of: segments by their descriptors."""

from __future__ import annotations

import errno
import os
import sys
from types import ModuleType
from typing import Any, NoReturn

import posix_ipc

# What the errors of the package are to code that knows errno. The rest are an OSError already.
_NUMBERS = {
    "access": errno.EACCES,
    "exists": errno.EEXIST,
    "invalid": errno.EINVAL,
    "name-too-long": errno.ENAMETOOLONG,
    "no-entry": errno.ENOENT,
    "not-permitted": errno.EPERM,
}


def _fail(error: Exception, path: str) -> NoReturn:
    number = _NUMBERS.get(getattr(error, "code", ""), errno.EINVAL)
    raise OSError(number, os.strerror(number), path) from None


def shm_open(path: str, flags: int, mode: int = 0o777) -> int:
    """Opens a segment, and gives its descriptor."""
    read_only = flags & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR) == os.O_RDONLY
    try:
        return posix_ipc.SharedMemory(path, flags, mode, read_only=read_only).fd
    except (posix_ipc.Error, ValueError) as error:
        _fail(error, path)


def shm_unlink(path: str) -> None:
    """Removes the name of a segment."""
    try:
        posix_ipc.unlink_shared_memory(path)
    except (posix_ipc.Error, ValueError) as error:
        _fail(error, path)


def _track(name: Any, rtype: str) -> None:
    """Does nothing."""


# `multiprocessing` has a process that removes what this one forgets. The host does that.
_tracker: Any = ModuleType("multiprocessing.resource_tracker")
_tracker.register = _tracker.unregister = _track
sys.modules[_tracker.__name__] = _tracker
