"""Semaphores: all but what is done often, which is in C."""

from __future__ import annotations

import operator

import _posix_ipc

from . import _arguments, _errors, _events
from ._errors import ExistentialError
from ._object import NamedObject

_VALUE_MAX = 2**31 - 1


class Semaphore(NamedObject, _posix_ipc.Semaphore):
    """A named semaphore.

    flags: O_CREAT makes it if it does not exist, O_CREX only then. mode and initial_value
    are for a new semaphore. The name None, with O_CREX, is a random one.
    """

    __module__ = "posix_ipc"
    __slots__ = ("_mode", "_name")

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
        try:
            if named is None:
                prefix = _arguments.unique_prefix()
                named = self._create_unique(prefix, mode & 0o777, value)
            else:
                self._open(_arguments.canonical(named), wanted, mode & 0o777, value)
        except _posix_ipc.CallError as error:
            raise _errors.exception(error, _errors.SEMAPHORE_OPEN, named) from None
        self._name = named
        self._mode = mode

    def __repr__(self) -> str:
        return f'posix_ipc.Semaphore("{self}", mode=0{self._mode:o})'

    @property
    def value(self) -> int:
        """How often the semaphore can be acquired now."""
        self._check_open()
        try:
            return self._value()
        except _posix_ipc.CallError as error:
            raise _errors.exception(error, _errors.SEMAPHORE_USE, self._name) from None

    # The next two are what the methods of the same name in C call, where they do not succeed
    # at once.

    def acquire(self, timeout: float | None = None) -> None:
        self._check_open()
        limit = _arguments.timeout(timeout)
        _events.deliver()
        try:
            _events.until(self._wait, self._subscribe, limit)
        except _posix_ipc.CallError as error:
            raise _errors.exception(error, _errors.SEMAPHORE_ACQUIRE, self._name) from None

    def release(self) -> None:
        self._check_open()
        try:
            self._post()
        except _posix_ipc.CallError as error:
            raise _errors.exception(error, _errors.SEMAPHORE_USE, self._name) from None
        _events.deliver()

    _acquire, _release = acquire, release
    del acquire, release

    def close(self) -> None:
        """Closes this handle. The semaphore stays."""
        self._check_open()
        self._close()

    def unlink(self) -> None:
        """Removes the name, also after `close`."""
        unlink(self._named())

    def _check_open(self) -> None:
        if not self._is_open():
            raise ExistentialError("The semaphore has been closed")


def unlink(name: str) -> None:
    """Removes a semaphore's name."""
    try:
        _posix_ipc.Semaphore._unlink(_arguments.canonical(name))
    except _posix_ipc.CallError as error:
        raise _errors.exception(error, _errors.SEMAPHORE_UNLINK, name) from None
