"""POSIX semaphores, shared memory and message queues, for a WebAssembly guest.

The module is used as `posix_ipc` 1.3 of PyPI is, and its objects are the host's: a
native process that opens the same name meets this one there. Which names exist is up to
the host: without a grant for a name, opening it raises PermissionsError.
"""

from __future__ import annotations

import os
from typing import Final

import _posix_ipc

from . import _arguments, _descriptors, _events, _message_queue, _polling
from . import _semaphore as _semaphores
from . import _shared_memory as _memory
from ._arguments import O_CREAT, O_EXCL, O_NONBLOCK, O_TRUNC
from ._errors import BusyError, Error, ExistentialError, PermissionsError, SignalError
from ._message_queue import MessageQueue
from ._semaphore import Semaphore
from ._shared_memory import SharedMemory

VERSION: Final = "1.3.2"
__version__: Final = VERSION
__author__: Final = "The authors of wasmtime-posix-ipc"
__copyright__: Final = "Copyright The authors of wasmtime-posix-ipc"
__license__: Final = "Apache-2.0 WITH LLVM-exception"

O_CREX: Final = O_CREAT | O_EXCL
O_RDONLY: Final = os.O_RDONLY
O_WRONLY: Final = os.O_WRONLY
O_RDWR: Final = os.O_RDWR

SEMAPHORE_TIMEOUT_SUPPORTED: Final = True
SEMAPHORE_VALUE_SUPPORTED: Final = True
MESSAGE_QUEUES_SUPPORTED: Final = True
USER_SIGNAL_MIN: Final = 34
USER_SIGNAL_MAX: Final = _message_queue.SIGNAL_MAX

# The running system's, read when they are asked for; and what they are while a component
# is built, when there is no system to ask.
_LIMITS: Final = {
    "PAGE_SIZE": (_posix_ipc.page_size, 4096),
    "SEMAPHORE_VALUE_MAX": (_posix_ipc.semaphore_value_max, 2147483647),
    "QUEUE_MESSAGES_MAX_DEFAULT": (lambda: _posix_ipc.queue_defaults()[0], 10),
    "QUEUE_MESSAGE_SIZE_MAX_DEFAULT": (lambda: _posix_ipc.queue_defaults()[1], 8192),
    "QUEUE_PRIORITY_MAX": (_posix_ipc.queue_priority_max, 32767),
}

__all__ = [
    "MESSAGE_QUEUES_SUPPORTED",
    "O_CREAT",
    "O_CREX",
    "O_EXCL",
    "O_NONBLOCK",
    "O_RDONLY",
    "O_RDWR",
    "O_TRUNC",
    "O_WRONLY",
    "PAGE_SIZE",
    "QUEUE_MESSAGES_MAX_DEFAULT",
    "QUEUE_MESSAGE_SIZE_MAX_DEFAULT",
    "QUEUE_PRIORITY_MAX",
    "SEMAPHORE_TIMEOUT_SUPPORTED",
    "SEMAPHORE_VALUE_MAX",
    "SEMAPHORE_VALUE_SUPPORTED",
    "USER_SIGNAL_MAX",
    "USER_SIGNAL_MIN",
    "VERSION",
    "BusyError",
    "Error",
    "ExistentialError",
    "MessageQueue",
    "PermissionsError",
    "Semaphore",
    "SharedMemory",
    "SignalError",
    "unlink_message_queue",
    "unlink_semaphore",
    "unlink_shared_memory",
]


def __getattr__(name: str) -> int:
    limit = _LIMITS.get(name)
    if limit is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    running, usual = limit
    return usual if _building() else running()


def _building() -> bool:
    """Whether this runs while the component is built, when there is no host to call.

    componentize-py sets the variable for that time and takes it away afterwards.
    """
    return os.environ.get("PYTHONHOME") == "/python"


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))


def unlink_semaphore(name: str, /) -> None:
    """Removes a semaphore's name."""
    _semaphores.unlink(_arguments.name_to_unlink(name, "unlink_semaphore"))


def unlink_shared_memory(name: str, /) -> None:
    """Removes a segment's name."""
    _memory.unlink(_arguments.name_to_unlink(name, "unlink_shared_memory"))


def unlink_message_queue(name: str, /) -> None:
    """Removes a queue's name."""
    _message_queue.unlink(_arguments.name_to_unlink(name, "unlink_message_queue"))


_descriptors.install()
_events.install()
_polling.install()
