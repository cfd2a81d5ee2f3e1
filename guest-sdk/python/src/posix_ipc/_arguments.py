"""Reading arguments as the C implementation does, without what it gets wrong."""

from __future__ import annotations

import math
import operator
import os
from typing import Final

from ._errors import ExistentialError, PermissionsError

O_CREAT: Final = os.O_CREAT
O_EXCL: Final = os.O_EXCL
O_TRUNC: Final = os.O_TRUNC
O_NONBLOCK: Final = os.O_NONBLOCK

# How the host names them.
_CREATE: Final = 1
_EXCLUSIVE: Final = 2
_TRUNCATE: Final = 4

READ: Final = 0
WRITE: Final = 1
READ_WRITE: Final = 2

_INT_MAX: Final = 2**31 - 1
_LONG_MAX: Final = 2**63 - 1
_NEVER: Final = 2**64 - 1
"""The longest wait that the host knows, 584 years."""


def c_int(value: object) -> int:
    """A C `int`, or the error that reading one gives."""
    number = operator.index(value)  # type: ignore[arg-type]
    if number > _INT_MAX:
        raise OverflowError("signed integer is greater than maximum")
    if number < -_INT_MAX - 1:
        raise OverflowError("signed integer is less than minimum")
    return number


def c_long(value: object) -> int:
    """A C `long`, or the error that reading one gives."""
    number = operator.index(value)  # type: ignore[arg-type]
    if not -_LONG_MAX - 1 <= number <= _LONG_MAX:
        raise OverflowError("Python int too large to convert to C long")
    return number


def open_flags(flags: int) -> int:
    """The host's flags for those of the guest's C library."""
    if flags & O_EXCL and not flags & O_CREAT:
        raise ValueError("O_EXCL must be combined with O_CREAT")
    wanted = 0
    for bit, flag in ((O_CREAT, _CREATE), (O_EXCL, _EXCLUSIVE), (O_TRUNC, _TRUNCATE)):
        if flags & bit:
            wanted |= flag
    return wanted


def name(value: object, flags: int) -> str | None:
    """An object's name; None asks for a random one."""
    if value is None:
        if not flags & O_EXCL:
            raise ValueError("Name can only be None if O_EXCL is set")
        return None
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError as error:
            raise ValueError("The name must be UTF-8") from error
    if not isinstance(value, str):
        raise TypeError("Name must be None or a string")
    return checked(value)


def name_to_unlink(value: object, function: str) -> str:
    """The name that a module function removes, which takes nothing but a str."""
    if not isinstance(value, str):
        kind = "None" if value is None else type(value).__name__
        raise TypeError(f"{function}() argument 1 must be str, not {kind}")
    return checked(value)


def checked(value: str) -> str:
    """A name that the host can be asked about."""
    if "\0" in value:
        raise ValueError("embedded null character")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("The name must be UTF-8") from error
    return value


def canonical(value: str) -> str:
    """A semaphore's or segment's name as the host spells it.

    The C library takes any number of leading slashes for one, and none as well.
    """
    return "/" + value.lstrip("/")


def queue_name(value: str) -> str:
    """A queue's name, if it is one: the kernel knows one spelling only."""
    stem = value[1:]
    if not value.startswith("/"):
        raise ValueError("Invalid parameter(s)")
    if not stem:
        raise ExistentialError("No queue exists with the specified name")
    if "/" in stem or stem in (".", ".."):
        raise PermissionsError("Permission denied")
    return value


def unique_prefix() -> str:
    """What the random names of objects that are opened with the name None start with."""
    return os.environ.get("POSIX_IPC_PREFIX", "/")


def timeout(value: object) -> int | None:
    """A timeout in nanoseconds; None waits as long as it takes."""
    if value is None:
        return None
    if not isinstance(value, (int, float)) or value < 0 or _too_large(value):
        raise TypeError("The timeout must be None or a non-negative number")
    if isinstance(value, int):
        return min(value * 1_000_000_000, _NEVER)
    if math.isnan(value):
        raise ValueError("The timeout must not be NaN")
    if value >= _NEVER / 1e9:
        return None if math.isinf(value) else _NEVER
    # Upwards: a wait of half a nanosecond is one, and 0 would be none.
    return math.ceil(value * 1e9)


def _too_large(value: float) -> bool:
    return isinstance(value, int) and value > _LONG_MAX
