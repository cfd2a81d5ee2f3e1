"""Semaphores."""

from __future__ import annotations

import operator
from types import TracebackType
from typing import Any, NoReturn, Self

from . import _arguments, _errors, _events, _host
from ._errors import ExistentialError
from ._host import Err
from ._object import NamedObject

_VALUE_MAX = 2**31 - 1


class Semaphore(NamedObject):
    """A named semaphore.

    flags: O_CREAT makes it if it does not exist, O_CREX only then. mode and initial_value
    are for a new semaphore. The name None, with O_CREX, is a random one.
    """

    __module__ = "posix_ipc"
    __slots__ = ("_handle",)

    _handle: Any

    def __new__(cls, *_args: Any, **_named: Any) -> Self:
        self = super().__new__(cls)
        self._handle = None
        return self

    def __init__(
        self,
        name: str | bytes | None,
        flags: int = 0,
        mode: int = 0o600,
        initial_value: int = 0,
    ) -> None:
        flags = _arguments.c_int(flags)
        mode = _arguments.c_int(mode)
        value = operator.index(initial_value)
        wanted = _arguments.open_flags(flags & ~_arguments.O_TRUNC)
        named = _arguments.name(name, flags)
        if not 0 <= value <= _VALUE_MAX:
            raise ValueError(f"The initial value must be from 0 to {_VALUE_MAX}")
        bindings = _host.semaphore.Semaphore
        try:
            if named is None:
                handle = bindings.create_unique(_arguments.unique_prefix(), mode & 0o777, value)
                named = handle.name()
            else:
                known = _arguments.canonical(named)
                handle = bindings.open(known, wanted, mode & 0o777, value)
        except Err as error:
            raise _errors.exception(error, _errors.SEMAPHORE_OPEN, named) from None
        self._handle = handle
        self._name = named
        self._mode = mode

    def __repr__(self) -> str:
        return f'posix_ipc.Semaphore("{self}", mode=0{self._mode:o})'

    @property
    def value(self) -> int:
        """How often the semaphore can be acquired now."""
        handle = self._opened()
        try:
            return handle.value()  # type: ignore[no-any-return]
        except Err as error:
            raise _errors.exception(error, _errors.SEMAPHORE_USE, self._name) from None

    def acquire(self, timeout: float | None = None) -> None:
        """Takes the semaphore, waiting as long as it takes, or at most `timeout` seconds."""
        handle = self._opened()
        limit = _arguments.timeout(timeout)
        _events.deliver()
        try:
            _events.until(handle.acquire, handle.subscribe, limit)
        except Err as error:
            raise _errors.exception(error, _errors.SEMAPHORE_ACQUIRE, self._name) from None

    def release(self) -> None:
        """Gives the semaphore back, and wakes one that waits for it."""
        handle = self._opened()
        try:
            handle.release()
        except Err as error:
            raise _errors.exception(error, _errors.SEMAPHORE_USE, self._name) from None
        _events.deliver()

    def close(self) -> None:
        """Closes this handle. The semaphore stays."""
        handle = self._opened()
        self._handle = None
        handle.__exit__(None, None, None)

    def unlink(self) -> None:
        """Removes the name, also after `close`."""
        unlink(self._named())

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self.release()

    def _opened(self) -> Any:
        return self._handle or _closed()


def _closed() -> NoReturn:
    raise ExistentialError("The semaphore has been closed")


def unlink(name: str) -> None:
    """Removes a semaphore's name."""
    try:
        _host.semaphore.unlink(_arguments.canonical(name))
    except Err as error:
        raise _errors.exception(error, _errors.SEMAPHORE_UNLINK, name) from None
