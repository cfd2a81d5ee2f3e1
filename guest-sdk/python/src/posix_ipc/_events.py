"""Waiting, and what arrives meanwhile: the notifications of queues.

A guest has no signals and no second thread. Its notifications are looked at whenever it
calls the host through this package or waits with `time.sleep`, `select` or `selectors`,
and a wait takes as long as it would have without them.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any, Final

import _posix_ipc

from . import _errors

Action = Callable[[], None]

_NEVER: Final = 2**64 - 1


class Registration:
    """A queue's promise to tell once about a message."""

    def __init__(self, owner: object, notification: Any, act: Action, *, signals: bool) -> None:
        self.owner = owner
        self.notification = notification
        self.act = act
        self.signals = signals

    def cancel(self) -> None:
        self.notification.close()


# By the queue's name: a queue has one registration in a process. They outlive this module,
# which a program may import anew.
_registrations: dict[str, Registration] = vars(_posix_ipc).setdefault("registrations", {})


def register(name: str, registration: Registration) -> None:
    _registrations[name] = registration
    _posix_ipc.await_notifications(True)


def cancel(name: str, owner: object | None = None) -> None:
    """Takes a queue's registration back, if `owner` is the handle that asked for it."""
    registration = _registrations.get(name)
    if registration and (owner is None or registration.owner is owner):
        _remove(name)


def _remove(name: str) -> Registration | None:
    registration = _registrations.pop(name, None)
    _posix_ipc.await_notifications(bool(_registrations))
    if registration:
        registration.cancel()
    return registration


def awaited() -> bool:
    """Whether a notification may arrive."""
    return bool(_registrations)


def deliver() -> bool:
    """Acts on what has arrived. Returns whether a signal was among it.

    An exception of a callback or a signal handler goes to whoever called the host.
    """
    signalled = False
    if not _registrations:
        return signalled
    arrived = [name for name, it in _registrations.items() if it.notification.delivered()]
    for name in arrived:
        registration = _remove(name)
        if registration is None:
            continue  # An earlier one's action has cancelled it.
        signalled |= registration.signals
        registration.act()
    return signalled


def raising(number: int) -> Action:
    """An action that raises a signal in this process; signal 0 is none."""

    def act() -> None:
        if number:
            signal.raise_signal(number)

    return act


def until(
    attempt: Callable[[int | None], Any],
    subscribe: Callable[[], Any],
    timeout: int | None,
) -> Any:
    """Makes an attempt that may wait for `timeout` nanoseconds.

    While notifications are awaited, it is made again and again without waiting, and the
    waiting is done here, for them as well.
    """
    if not _registrations or timeout == 0:
        return attempt(timeout)
    deadline = None if timeout is None else time.monotonic_ns() + timeout
    wanted = None
    try:
        while True:
            try:
                return attempt(0)
            except _posix_ipc.CallError as error:
                if not _errors.is_busy(error):
                    raise
                left = None if deadline is None else deadline - time.monotonic_ns()
                if left is not None and left <= 0:
                    raise
            wanted = wanted or subscribe()
            _wait([wanted], left)
            if deliver():
                raise _errors.SignalError("The wait was interrupted by a signal")
    finally:
        if wanted:
            wanted.close()


def wait(pollables: list[Any], timeout: int | None) -> list[int]:
    """Waits until one of the pollables is ready, a notification arrives or time is up.

    Returns the places of those that are ready.
    """
    ready = _wait(pollables, timeout)
    deliver()
    return ready


def _wait(pollables: list[Any], timeout: int | None) -> list[int]:
    everything = list(pollables)
    extra = []
    try:
        for registration in _registrations.values():
            try:
                extra.append(registration.notification.subscribe())
            except _posix_ipc.CallError as error:
                raise _errors.os_error(error) from None
        if timeout is not None:
            extra.append(_posix_ipc.after(min(timeout, _NEVER)))
        everything += extra
        if not everything:
            raise RuntimeError("this wait has no end: a guest has one thread and no signals")
        ready = _posix_ipc.poll(tuple(everything))
        return [place for place in ready if place < len(pollables)]
    finally:
        for pollable in extra:
            pollable.close()


def sleep(seconds: float, plain_sleep: Callable[[float], None]) -> None:
    """`time.sleep`, during which notifications are delivered."""
    if not _registrations or not isinstance(seconds, (int, float)) or not seconds > 0:
        deliver()
        plain_sleep(seconds)
        return
    deadline = time.monotonic_ns() + int(min(seconds, 1e9) * 1e9)
    while (left := deadline - time.monotonic_ns()) > 0:
        wait([], left)


def install() -> None:
    """Has `time.sleep` deliver notifications."""
    plain = time.sleep

    def function(seconds: float, /) -> None:
        if _registrations:
            sleep(seconds, plain)
        else:
            plain(seconds)

    function.__name__ = function.__qualname__ = "sleep"
    function.__doc__ = plain.__doc__
    time.sleep = function  # type: ignore[assignment]
