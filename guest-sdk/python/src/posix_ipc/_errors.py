"""The exceptions, and which one each of the host's errors becomes."""

from __future__ import annotations

import errno
import os
from typing import Final

from _posix_ipc import CallError


class Error(Exception):
    """The base of this module's exceptions.

    `code` is the host's error code, such as "not-permitted" or "no-entry", and None where
    this module itself found the mistake.
    """

    __module__ = "posix_ipc"

    code: str | None = None


class SignalError(Error):
    """A wait was ended by a signal, or by the host."""

    __module__ = "posix_ipc"


class PermissionsError(Error):
    """The host has not granted this, or the object's owner has not."""

    __module__ = "posix_ipc"


class ExistentialError(Error):
    """There is no such object, there is one already, or it has been closed."""

    __module__ = "posix_ipc"


class BusyError(Error):
    """The call would have had to wait, or waited in vain."""

    __module__ = "posix_ipc"


# What the codes are to code that knows errno.
_NUMBERS: Final = {
    "not-permitted": errno.EPERM,
    "access": errno.EACCES,
    "exists": errno.EEXIST,
    "no-entry": errno.ENOENT,
    "busy": errno.EAGAIN,
    "timed-out": errno.ETIMEDOUT,
    "cancelled": errno.ECANCELED,
    "invalid": errno.EINVAL,
    "name-too-long": errno.ENAMETOOLONG,
    "message-too-long": errno.EMSGSIZE,
    "overflow": errno.EOVERFLOW,
    "no-space": errno.ENOSPC,
    "quota": errno.EDQUOT,
    "closed": errno.EBADF,
    "truncated": errno.EFAULT,
    "unsupported": errno.ENOTSUP,
}

_WORDS: Final = {
    "quota": "The limit that the host set for this guest is reached",
    "truncated": "The object has been cut shorter",
    "unsupported": "The host does not offer this",
}

# What a call's errors become: the exception's class and its message.
Table = dict[str, tuple[type[Exception], str]]

_ANY: Final[Table] = {
    "cancelled": (SignalError, "The wait was interrupted by the host"),
    "name-too-long": (ValueError, "The name is too long"),
}


def _opening(noun: str, article: str) -> Table:
    """The errors of opening a kind of object."""
    return {
        "access": (PermissionsError, "Permission denied"),
        "exists": (ExistentialError, f"{article} with the specified name already exists"),
        "no-entry": (ExistentialError, f"No {noun} exists with the specified name"),
        "invalid": (ValueError, "Invalid parameter(s)"),
    }


def _unlinking(noun: str, denied: str) -> Table:
    missing = (ExistentialError, f"No {noun} exists with the specified name")
    return {
        "access": (PermissionsError, denied),
        "no-entry": missing,
        "invalid": missing,
    }


_SEMAPHORE_GONE = (ExistentialError, "The semaphore does not exist")
_SEGMENT_GONE = (ExistentialError, "The segment does not exist")
_QUEUE_GONE = (ExistentialError, "The queue does not exist")
_CANNOT_SEND = (
    ExistentialError,
    "The message queue does not exist or is not open for writing",
)
_CANNOT_RECEIVE = (
    ExistentialError,
    "The message queue does not exist or is not open for reading",
)
_BUSY_SEMAPHORE = (BusyError, "Semaphore is busy")
_FULL = (BusyError, "The queue is full")
_EMPTY = (BusyError, "The queue is empty")

SEMAPHORE_OPEN: Final[Table] = _opening("semaphore", "A semaphore")
SEMAPHORE_UNLINK: Final[Table] = _unlinking(
    "semaphore", "Denied permission to unlink this semaphore"
)
SEMAPHORE_ACQUIRE: Final[Table] = {
    "busy": _BUSY_SEMAPHORE,
    "timed-out": _BUSY_SEMAPHORE,
    "invalid": _SEMAPHORE_GONE,
    "closed": _SEMAPHORE_GONE,
}
SEMAPHORE_USE: Final[Table] = {"invalid": _SEMAPHORE_GONE, "closed": _SEMAPHORE_GONE}

MEMORY_OPEN: Final[Table] = _opening("shared memory", "Shared memory") | {
    "access": (PermissionsError, "No permission to access this segment"),
}
MEMORY_TRUNCATE: Final[Table] = MEMORY_OPEN | {
    "access": (PermissionsError, "No permission to truncate this segment"),
}
MEMORY_RESIZE: Final[Table] = {
    "access": (ValueError, "The size is invalid or the memory is read-only"),
    "invalid": (ValueError, "The size is invalid or the memory is read-only"),
}
MEMORY_UNLINK: Final[Table] = _unlinking("shared memory", "Permission denied")
MEMORY_USE: Final[Table] = {"invalid": _SEGMENT_GONE, "closed": _SEGMENT_GONE}

QUEUE_OPEN: Final[Table] = _opening("queue", "A queue") | {
    "no-space": (OSError, "Insufficient space for a new queue"),
}
QUEUE_UNLINK: Final[Table] = _unlinking("queue", "Permission denied")
QUEUE_SEND: Final[Table] = {
    "busy": _FULL,
    "timed-out": _FULL,
    "message-too-long": (ValueError, "The message is too long"),
    "access": _CANNOT_SEND,
    "invalid": _CANNOT_SEND,
    "closed": _CANNOT_SEND,
}
QUEUE_RECEIVE: Final[Table] = {
    "busy": _EMPTY,
    "timed-out": _EMPTY,
    "access": _CANNOT_RECEIVE,
    "invalid": _CANNOT_RECEIVE,
    "closed": _CANNOT_RECEIVE,
}
QUEUE_USE: Final[Table] = {"invalid": _QUEUE_GONE, "closed": _QUEUE_GONE}
QUEUE_NOTIFY: Final[Table] = {
    "busy": (BusyError, "The queue is already delivering notifications elsewhere"),
}


def code_of(error: CallError) -> str:
    """The host's error code by its name in the WIT package."""
    code: str = error.args[0]
    return code


def is_busy(error: CallError) -> bool:
    """Whether a call that does not wait would have had to."""
    return code_of(error) == "busy"


def os_error(error: CallError) -> OSError:
    """The exception of code that works with descriptors."""
    code = code_of(error)
    number = _NUMBERS.get(code, errno.EIO)
    raised = OSError(number, _words(error, code, number))
    raised.code = code  # type: ignore[attr-defined]
    return raised


def exception(error: CallError, table: Table, name: str | None = None) -> Exception:
    """The exception for a call's error, with the host's code in `code`."""
    code = code_of(error)
    raised: Exception
    if code == "not-permitted":
        what = "this" if name is None else f'"{name}"'
        raised = PermissionsError(f"Permission denied: the host has not granted {what}")
    elif code in table or code in _ANY:
        kind, message = table.get(code) or _ANY[code]
        raised = kind(message)
    else:
        raised = os_error(error)
    raised.code = code  # type: ignore[attr-defined]
    return raised


def _words(error: CallError, code: str, number: int) -> str:
    if code == "other":
        return error.args[1] or "The host's operating system refused"
    return _WORDS.get(code) or os.strerror(number)
