from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Literal, Self

VERSION: Final[str]
__version__: Final[str]
__author__: Final[str]
__copyright__: Final[str]
__license__: Final[str]

O_CREAT: Final[int]
O_EXCL: Final[int]
O_CREX: Final[int]
O_TRUNC: Final[int]
O_RDONLY: Final[int]
O_WRONLY: Final[int]
O_RDWR: Final[int]
O_NONBLOCK: Final[int]

PAGE_SIZE: Final[int]
SEMAPHORE_VALUE_MAX: Final[int]
QUEUE_MESSAGES_MAX_DEFAULT: Final[int]
QUEUE_MESSAGE_SIZE_MAX_DEFAULT: Final[int]
QUEUE_PRIORITY_MAX: Final[int]
USER_SIGNAL_MIN: Final[int]
USER_SIGNAL_MAX: Final[int]

SEMAPHORE_TIMEOUT_SUPPORTED: Final[bool]
SEMAPHORE_VALUE_SUPPORTED: Final[bool]
MESSAGE_QUEUES_SUPPORTED: Final[bool]

ErrorCode = Literal[
    "not-permitted",
    "access",
    "exists",
    "no-entry",
    "busy",
    "timed-out",
    "cancelled",
    "invalid",
    "name-too-long",
    "message-too-long",
    "overflow",
    "no-space",
    "quota",
    "closed",
    "truncated",
    "unsupported",
    "other",
]

class Error(Exception):
    code: ErrorCode | None

class SignalError(Error): ...
class PermissionsError(Error): ...
class ExistentialError(Error): ...
class BusyError(Error): ...

class Semaphore:
    def __init__(
        self,
        name: str | bytes | None,
        flags: int = 0,
        mode: int = 0o600,
        initial_value: int = 0,
    ) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def mode(self) -> int: ...
    @property
    def value(self) -> int: ...
    def acquire(self, timeout: float | None = None) -> None: ...
    def release(self) -> None: ...
    def close(self) -> None: ...
    def unlink(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

class SharedMemory:
    def __init__(
        self,
        name: str | bytes | None,
        flags: int = 0,
        mode: int = 0o600,
        size: int = 0,
        read_only: bool = False,
    ) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def mode(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def fd(self) -> int: ...
    def fileno(self) -> int: ...
    def close_fd(self) -> None: ...
    def unlink(self) -> None: ...

class MessageQueue:
    block: bool
    def __init__(
        self,
        name: str | bytes | None,
        flags: int = 0,
        mode: int = 0o600,
        max_messages: int = ...,
        max_message_size: int = ...,
        read: bool = True,
        write: bool = True,
    ) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def mode(self) -> int: ...
    @property
    def mqd(self) -> int: ...
    def fileno(self) -> int: ...
    @property
    def max_messages(self) -> int: ...
    @property
    def max_message_size(self) -> int: ...
    @property
    def current_messages(self) -> int: ...
    def send(
        self,
        message: str | bytes | bytearray | memoryview,
        timeout: float | None = None,
        priority: int = 0,
    ) -> None: ...
    def receive(self, timeout: float | None = None) -> tuple[bytes, int]: ...
    def request_notification(
        self, notification: int | tuple[Callable[[Any], Any], Any] | None = None
    ) -> None: ...
    def close(self) -> None: ...
    def unlink(self) -> None: ...

def unlink_semaphore(name: str, /) -> None: ...
def unlink_shared_memory(name: str, /) -> None: ...
def unlink_message_queue(name: str, /) -> None: ...
