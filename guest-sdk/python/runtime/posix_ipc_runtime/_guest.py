"""What a guest has in another way than other platforms, made as it is there.

- `threading`: there is one thread, so a lock that is held can only be waited for in vain.
  `Condition.wait`, and with it `Event.wait` and `queue.Queue.get`, sleeps until its time is
  up, or a notification's callback wakes it.
- `socket.socketpair`: two ends in memory, as an event loop of `asyncio` uses.
- `os._exit`: with its code.
"""

from __future__ import annotations

import collections
import contextlib
import os
import socket
import sys
import threading
import time
from typing import Any, NoReturn, Self

import _posix_ipc
from wit_world.imports import exit as wasi_exit

from posix_ipc import _descriptors, _events


def _condition_wait(self: Any, timeout: float | None = None) -> bool:
    if not self._is_owned():
        raise RuntimeError("cannot wait on un-acquired lock")
    waiter = threading._allocate_lock()  # type: ignore[attr-defined]
    waiter.acquire()
    self._waiters.append(waiter)
    saved = self._release_save()
    woken = False
    try:
        woken = _wait_for(waiter, timeout)
    finally:
        self._acquire_restore(saved)
        if not woken:
            with contextlib.suppress(ValueError):
                self._waiters.remove(waiter)
    return woken


def _wait_for(waiter: Any, timeout: float | None) -> bool:
    deadline = None if timeout is None else time.monotonic_ns() + int(timeout * 1e9)
    while not waiter.acquire(False):
        left = None if deadline is None else deadline - time.monotonic_ns()
        if left is not None and left <= 0:
            return False
        _events.wait([], left)
    return True


class _Pipe(_descriptors.Descriptor):
    """One end of a pair."""

    def __init__(self) -> None:
        super().__init__()
        self.received: collections.deque[bytes] = collections.deque()
        self.peer: _Pipe | None = None

    def close(self) -> None:
        if self.peer is not None:
            self.peer.peer = None

    def status(self) -> os.stat_result:
        return os.stat_result((0o140600, 0, 0, 1, 0, 0, 0, 0, 0, 0))

    def pollable(self, *, write: bool) -> Any:
        if write or self.received or self.peer is None:
            return None
        # Nobody but this thread can write to it: it stays as it is.
        return _posix_ipc.after(2**64 - 1)


class _PairSocket:
    """As much of a socket as an event loop needs to wake itself."""

    def __init__(self, end: _Pipe) -> None:
        self._end = end
        self._number = _descriptors.add(end)

    def fileno(self) -> int:
        return self._number

    def setblocking(self, _flag: bool) -> None:
        """Does nothing: to wait for the only thread would be for ever."""

    def recv(self, size: int, _flags: int = 0) -> bytes:
        if self._end.received:
            data = self._end.received.popleft()
            if len(data) > size:
                self._end.received.appendleft(data[size:])
            return data[:size]
        if self._end.peer is None:
            return b""
        raise BlockingIOError(11, "Resource temporarily unavailable")

    def send(self, data: Any, _flags: int = 0) -> int:
        if self._end.peer is None:
            raise BrokenPipeError(32, "Broken pipe")
        self._end.peer.received.append(bytes(data))
        return len(data)

    sendall = send

    def close(self) -> None:
        if self._number != -1:
            _descriptors.close(self._number)
            self._number = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def _socketpair(*_arguments: Any, **_named: Any) -> tuple[_PairSocket, _PairSocket]:
    one, other = _Pipe(), _Pipe()
    one.peer, other.peer = other, one
    return _PairSocket(one), _PairSocket(other)


def _exit(status: int) -> NoReturn:
    wasi_exit.exit_with_code(status & 0xFF)
    raise AssertionError("unreachable")


def install() -> None:
    """Puts all of this in its place."""
    threading.Condition.wait = _condition_wait  # type: ignore[method-assign]
    socket.socketpair = _socketpair  # type: ignore[assignment]
    os._exit = _exit
    sys.executable = ""
