"""Tracebacks without the frames of this runtime, of which a program knows nothing.

What the runtime has in Python is natively in C, and shows no frames.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final

_OWN: Final = ("posix_ipc", "posix_ipc_runtime", "mmap", "resource")

_files: set[str] = set()


def remember_files() -> None:
    """Looks where the modules are that are loaded now: the script may have some called alike."""
    for name, module in sys.modules.items():
        file = getattr(module, "__file__", None)
        if name.partition(".")[0] in _OWN and file:
            _files.add(file)


def without_runtime(tb: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames of the runtime."""
    kept = []
    while tb is not None:
        if tb.tb_frame.f_code.co_filename not in _files:
            kept.append(tb)
        tb = tb.tb_next
    for place in reversed(kept):
        tb = TracebackType(tb, place.tb_frame, place.tb_lasti, place.tb_lineno)
    return tb


def install() -> None:
    """Has the module `traceback`, and what is built on it, leave the frames out."""
    for name in ("walk_tb", "_walk_tb_with_full_positions"):
        if hasattr(traceback, name):
            setattr(traceback, name, _filtered(getattr(traceback, name)))


def _filtered(walk: Any) -> Any:
    def function(tb: TracebackType | None) -> Iterator[Any]:
        yield from walk(without_runtime(tb))

    function.__name__ = function.__qualname__ = walk.__name__
    function.__doc__ = walk.__doc__
    return function
