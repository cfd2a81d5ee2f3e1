"""Message queues."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any, Final, Self

import _posix_ipc

from . import _arguments, _descriptors, _errors, _events
from ._errors import ExistentialError, PermissionsError
from ._object import NamedObject

PRIORITY_MAX: Final = 32767
SIGNAL_MAX: Final = 64

_U32_MAX: Final = 2**32 - 1
_BAD_NOTIFICATION: Final = (
    "The notification must be None, an integer, or a tuple of (function, parameter)"
)


class MessageQueue(NamedObject, _posix_ipc.MessageQueue):
    """A message queue.

    flags: O_CREAT makes it if it does not exist, O_CREX only then. mode, max_messages and
    max_message_size are for a new queue. The name None, with O_CREX, is a random one.
    """

    __module__ = "posix_ipc"
    __slots__ = ("_limits", "_mode", "_name")

    _limits: tuple[int, int]

    def __new__(cls, *_args: Any, **_named: Any) -> Self:
        self = super().__new__(cls)
        self._fd = -1
        self._limits = (0, 0)
        return self

    def __init__(
        self,
        name: str | bytes | None,
        flags: int = 0,
        mode: int = 0o600,
        max_messages: int | None = None,
        max_message_size: int | None = None,
        read: bool = True,
        write: bool = True,
    ) -> None:
        flags = _arguments.c_int(flags)
        mode = _arguments.c_int(mode)
        wanted = _arguments.open_flags(flags & ~_arguments.O_TRUNC)
        named = _arguments.name(name, flags)
        if not read and not write:
            raise ValueError("At least one of read or write must be True")
        limits = _limits(max_messages, max_message_size)
        if named is not None:
            named = _arguments.queue_name(named)
        _events.deliver()
        descriptor = _descriptors.QueueDescriptor()
        try:
            if named is None:
                prefix = _arguments.unique_prefix()
                self._limits = descriptor.create_unique(prefix, mode & 0o777, limits)
                named = descriptor.name()
            else:
                access = _arguments.READ_WRITE if write else _arguments.READ
                if not read:
                    access = _arguments.WRITE
                self._limits = descriptor.open(named, wanted, mode & 0o777, access, limits)
        except _posix_ipc.CallError as error:
            raise _open_error(error, limits, named) from None
        descriptor.block = not flags & _arguments.O_NONBLOCK
        self._fd = _descriptors.add(descriptor)
        self._may_read = bool(read)
        self._may_write = bool(write)
        self._name = named
        self._mode = mode

    def __repr__(self) -> str:
        return (
            f'posix_ipc.MessageQueue("{self}", mode=0{self._mode:o}, '
            f"max_message_size={self.max_message_size}, max_messages={self.max_messages}, "
            f"read={self._may_read}, write={self._may_write})"
        )

    @property
    def mqd(self) -> int:
        """The descriptor, for `select` and `selectors`; -1 when it is closed."""
        return self._fd

    def fileno(self) -> int:
        """The descriptor."""
        return self._fd

    @property
    def max_messages(self) -> int:
        """How many messages the queue holds."""
        return self._limits[0]

    @property
    def max_message_size(self) -> int:
        """How many bytes a message has at most."""
        return self._limits[1]

    @property
    def current_messages(self) -> int:
        """How many messages wait in the queue."""
        queue = self._opened("The queue does not exist")
        try:
            return queue.current_messages()
        except _posix_ipc.CallError as error:
            raise _errors.exception(error, _errors.QUEUE_USE, self._name) from None

    @property
    def block(self) -> bool:
        """Whether `send` and `receive` wait. A property of this handle."""
        return self._opened("The queue does not exist").block

    @block.setter
    def block(self, value: object) -> None:
        self._opened("The queue does not exist").block = bool(value)

    # The next two are what the methods of the same name in C call, where they do not succeed
    # at once.

    def send(
        self,
        message: str | bytes | bytearray | memoryview,
        timeout: float | None = None,
        priority: int = 0,
    ) -> None:
        payload = _payload(message)
        limit = _arguments.timeout(timeout)
        priority = _arguments.c_long(priority)
        if self._fd != -1 and not self._may_write:
            raise PermissionsError("The queue is not open for writing")
        missing = "The message queue does not exist or is not open for writing"
        descriptor = self._opened(missing)
        if not 0 <= priority <= PRIORITY_MAX:
            raise ValueError(
                "The priority must be a positive number no greater than "
                f"QUEUE_PRIORITY_MAX ({PRIORITY_MAX})"
            )
        try:
            _events.until(
                lambda wait: descriptor.send(payload, priority, wait),
                descriptor.subscribe_writable,
                limit if descriptor.block else 0,
            )
        except _posix_ipc.CallError as error:
            raise _errors.exception(error, _errors.QUEUE_SEND, self._name) from None
        _events.deliver()

    def receive(self, timeout: float | None = None) -> tuple[bytes, int]:
        limit = _arguments.timeout(timeout)
        if self._fd != -1 and not self._may_read:
            raise PermissionsError("The queue is not open for reading")
        missing = "The message queue does not exist or is not open for reading"
        descriptor = self._opened(missing)
        # Before the message is taken: an exception of a callback must not lose it.
        _events.deliver()
        try:
            message: tuple[bytes, int] = _events.until(
                descriptor.receive,
                descriptor.subscribe_readable,
                limit if descriptor.block else 0,
            )
        except _posix_ipc.CallError as error:
            raise _errors.exception(error, _errors.QUEUE_RECEIVE, self._name) from None
        return message

    _send, _receive = send, receive
    del send, receive

    def request_notification(
        self, notification: int | tuple[Callable[[Any], Any], Any] | None = None
    ) -> None:
        """Asks to be told, once, when a message arrives in the empty queue.

        By a signal's number, or by a call of a function. None takes the request back.
        """
        act, signals = _action(notification)
        descriptor = _descriptors.get(self._fd)
        name = self._named()
        _events.cancel(name)
        if act is None:
            return
        if not isinstance(descriptor, _posix_ipc.Queue):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        try:
            registered = descriptor.request_notification()
        except _posix_ipc.CallError as error:
            raise _errors.exception(error, _errors.QUEUE_NOTIFY, self._name) from None
        _events.register(name, _events.Registration(descriptor, registered, act, signals=signals))

    def close(self) -> None:
        """Closes this handle. The queue stays."""
        descriptor = self._opened("The queue does not exist")
        _events.cancel(self._named(), descriptor)
        _descriptors.close(self._fd)
        self._fd = -1

    def unlink(self) -> None:
        """Removes the name, also after `close`."""
        unlink(self._named())

    def _opened(self, missing: str) -> _posix_ipc.Queue:
        descriptor = _descriptors.get(self._fd)
        if not isinstance(descriptor, _posix_ipc.Queue):
            raise ExistentialError(missing)
        return descriptor


def unlink(name: str) -> None:
    """Removes a queue's name."""
    if not name.startswith("/"):
        raise ExistentialError("No queue exists with the specified name")
    try:
        _posix_ipc.Queue.unlink(_arguments.queue_name(name))
    except _posix_ipc.CallError as error:
        raise _errors.exception(error, _errors.QUEUE_UNLINK, name) from None


def _limits(max_messages: int | None, max_message_size: int | None) -> tuple[int, int] | None:
    """Both; None where the caller leaves both to the system."""
    if max_messages is None and max_message_size is None:
        return None
    if max_messages is None or max_message_size is None:
        defaults = _posix_ipc.queue_defaults()
        if max_messages is None:
            max_messages = defaults[0]
        if max_message_size is None:
            max_message_size = defaults[1]
    # An existing queue is opened whatever is asked for, so a new one's limits are the
    # host's to check.
    return (
        min(max(_arguments.c_long(max_messages), 0), _U32_MAX),
        min(max(_arguments.c_long(max_message_size), 0), _U32_MAX),
    )


def _open_error(
    error: _posix_ipc.CallError, limits: tuple[int, int] | None, name: str | None
) -> Exception:
    """The error of opening a queue. Limits out of range are the usual cause, so it names
    those that there are."""
    raised = _errors.exception(error, _errors.QUEUE_OPEN, name)
    code = _errors.code_of(error)
    if limits is None or code not in ("invalid", "quota", "no-space"):
        return raised
    names = ("max_messages", "max_message_size")
    for what, value, maximum in zip(names, limits, _posix_ipc.queue_maximums(), strict=True):
        if not 0 < value <= maximum:
            raised = ValueError(f"Invalid parameter(s): {what} must be from 1 to {maximum}")
            raised.code = code  # type: ignore[attr-defined]
            break
    return raised


def _payload(message: Any) -> Any:
    if isinstance(message, str):
        return message.encode()
    try:
        view = memoryview(message)
    except TypeError:
        kind = type(message).__name__
        raise TypeError(f"a bytes-like object is required, not '{kind}'") from None
    with view:
        if not view.c_contiguous:
            raise BufferError("memoryview: underlying buffer is not C-contiguous")
    return message


def _action(notification: Any) -> tuple[_events.Action | None, bool]:
    """What a notification does, and whether it is a signal."""
    if notification is None:
        return None, False
    if isinstance(notification, int):
        number = _arguments.c_long(notification)
        if not 0 <= number <= SIGNAL_MAX:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return _events.raising(number), number != 0
    if isinstance(notification, tuple) and len(notification) == 2 and callable(notification[0]):
        function, parameter = notification

        def act() -> None:
            function(parameter)

        return act, False
    raise ValueError(_BAD_NOTIFICATION)
