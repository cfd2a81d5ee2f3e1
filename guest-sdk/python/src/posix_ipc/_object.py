"""What the three kinds of objects have in common."""

from __future__ import annotations

from typing import Any, NoReturn, Self


class NamedObject:
    """An object with a name. Has no `__dict__`, and cannot be pickled.

    What it is made of has to be in its class, beside what a base in C is made of.
    """

    __slots__ = ()

    _mode: int
    _name: str | None

    def __new__(cls, *_args: Any, **_named: Any) -> Self:
        self = super().__new__(cls)
        self._name = None  # type: ignore[misc]
        self._mode = 0  # type: ignore[misc]
        return self

    def __str__(self) -> str:
        return "(no name)" if self._name is None else self._name

    def __reduce_ex__(self, _protocol: Any) -> NoReturn:
        raise TypeError(f"cannot pickle 'posix_ipc.{type(self).__name__}' object")

    @property
    def name(self) -> str | None:
        """The name with which the object was opened."""
        return self._name

    @property
    def mode(self) -> int:
        """The permissions that were asked for."""
        return self._mode

    def _named(self) -> str:
        if self._name is None:
            raise ValueError("the object has not been opened")
        return self._name
