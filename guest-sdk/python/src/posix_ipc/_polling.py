"""`select` for queues, and with it `selectors`."""

from __future__ import annotations

import errno
import os
import select
import time
from typing import Any, Final

from . import _descriptors, _events

# How long this module's descriptors are waited for before the C library's are looked at,
# where a program waits for both at once.
_SLICE: Final = 10_000_000

_plain_select: Any = select.select
_plain_poll = select.poll

_READ: Final = select.POLLIN | getattr(select, "POLLRDNORM", 0)
_WRITE: Final = select.POLLOUT | getattr(select, "POLLWRNORM", 0)
_INVALID: Final = getattr(select, "POLLNVAL", 0x20)


def _number(file: Any) -> int:
    if isinstance(file, int):
        return file
    fileno = getattr(file, "fileno", None)
    if fileno is None:
        raise TypeError("argument must be an int, or have a fileno() method.")
    return int(fileno())


class _Interest:
    """One descriptor in one direction."""

    def __init__(self, file: Any, descriptor: _descriptors.Descriptor, *, write: bool) -> None:
        self.file = file
        self.write = write
        try:
            self.pollable = descriptor.pollable(write=write)
        except OSError as error:
            # The wrong direction of a queue: the call that follows says so.
            if getattr(error, "code", None) != "access":
                raise
            self.pollable = None

    def close(self) -> None:
        if self.pollable is not None:
            self.pollable.close()


def _wait(interests: list[_Interest], timeout: int | None) -> list[_Interest]:
    """Those that are ready, after a wait if none is."""
    always = [it for it in interests if it.pollable is None]
    timed = [it for it in interests if it.pollable is not None]
    ready = _events.wait([it.pollable for it in timed], 0 if always else timeout)
    return always + [timed[place] for place in ready]


def _nanoseconds(timeout: float | None, unit: float) -> int | None:
    if timeout is None:
        return None
    return max(0, int(timeout * unit))


def _mixed(
    interests: list[_Interest], theirs: Any, timeout: int | None
) -> tuple[list[_Interest], Any]:
    """Waits for this module's descriptors, and through `theirs` for the C library's."""
    deadline = None if timeout is None else time.monotonic_ns() + timeout
    while True:
        left = _SLICE if deadline is None else deadline - time.monotonic_ns()
        found = theirs()
        ready = _wait(interests, 0 if found else max(0, min(left, _SLICE)))
        if found or ready or (deadline is not None and left <= 0):
            return ready, found


def poll_select(
    rlist: Any, wlist: Any, xlist: Any, timeout: float | None = None, /
) -> tuple[list[Any], list[Any], list[Any]]:
    """`select.select` for queues as well."""
    lists = [list(rlist), list(wlist), list(xlist)]
    numbers = [[_number(file) for file in files] for files in lists]
    ours = any(_descriptors.is_ours(number) for group in numbers for number in group)
    if not ours and not _events.awaited():
        return _plain_select(*lists, timeout)  # type: ignore[no-any-return]
    if timeout is not None and timeout < 0:
        raise ValueError("timeout must be non-negative")
    interests: list[_Interest] = []
    try:
        for write in (False, True):
            for file, number in zip(lists[write], numbers[write], strict=True):
                descriptor = _descriptors.get(number)
                if descriptor is not None:
                    interests.append(_Interest(file, descriptor, write=write))
        plain = [
            [
                file
                for file, number in zip(files, group, strict=True)
                if not _descriptors.is_ours(number)
            ]
            for files, group in zip(lists, numbers, strict=True)
        ]
        limit = _nanoseconds(timeout, 1e9)
        found: Any = None
        if any(plain):
            ready, found = _mixed(interests, lambda: _selected(plain), limit)
        else:
            ready = _wait(interests, limit)
        readable, writable, broken = found or ([], [], [])
        return (
            readable + [it.file for it in ready if not it.write],
            writable + [it.file for it in ready if it.write],
            broken,
        )
    finally:
        for interest in interests:
            interest.close()


def _selected(plain: list[list[Any]]) -> Any:
    found = _plain_select(*plain, 0)
    return found if any(found) else None


class poll:  # noqa: N801
    """`select.poll` for queues as well."""

    def __init__(self) -> None:
        self._plain = _plain_poll()
        self._theirs: set[int] = set()
        self._ours: dict[int, int] = {}

    def register(self, fd: Any, eventmask: int = _READ | _WRITE, /) -> None:
        number = _number(fd)
        if _descriptors.is_ours(number):
            self._ours[number] = eventmask
        else:
            self._plain.register(number, eventmask)
            self._theirs.add(number)

    def modify(self, fd: Any, eventmask: int, /) -> None:
        number = _number(fd)
        if number in self._ours:
            self._ours[number] = eventmask
        elif _descriptors.is_ours(number):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        else:
            self._plain.modify(number, eventmask)

    def unregister(self, fd: Any, /) -> None:
        number = _number(fd)
        if number in self._ours:
            del self._ours[number]
        else:
            self._plain.unregister(number)
            self._theirs.discard(number)

    def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]:
        if not self._ours:
            return self._plain.poll(timeout)
        limit = None if timeout is not None and timeout < 0 else _nanoseconds(timeout, 1e6)
        interests: list[_Interest] = []
        closed = []
        try:
            for number, mask in self._ours.items():
                descriptor = _descriptors.get(number)
                if descriptor is None:
                    closed.append((number, _INVALID))
                    continue
                if mask & _READ:
                    interests.append(_Interest(number, descriptor, write=False))
                if mask & _WRITE:
                    interests.append(_Interest(number, descriptor, write=True))
            limit = 0 if closed else limit
            found: Any = None
            if self._theirs:
                ready, found = _mixed(interests, lambda: self._plain.poll(0), limit)
            else:
                ready = _wait(interests, limit)
            events: dict[int, int] = {}
            for it in ready:
                bits = select.POLLOUT if it.write else select.POLLIN
                events[it.file] = events.get(it.file, 0) | bits & self._ours[it.file]
            return (found or []) + list(events.items()) + closed
        finally:
            for interest in interests:
                interest.close()


def install() -> None:
    """Teaches `select` about queues. To come before the first import of `selectors`."""
    select.select = poll_select
    select.poll = poll  # type: ignore[assignment, misc]
