"""The Python runtime component: runs the script that its first argument names.

All that is imported here is imported while the component is built, and is part of it.
"""

from __future__ import annotations

import gc
import sys
from typing import NoReturn

import _posix_ipc
import wit_world.exports
from wit_world.imports import exit as wasi_exit

from . import _stdlib

library = _stdlib.pack()
library.install(first=True)
library.preload()

# From the library, which is there to import from since a moment ago.
from . import _guest, _script, _traces  # noqa: E402

_guest.install()
library.adopt_loaded()
_traces.remember_files()
library.install(first=False)
gc.collect()
gc.freeze()
# Last: its pools would be part of the component.
_posix_ipc.install_allocator()


class Run(wit_world.exports.Run):  # type: ignore[misc]
    """The component's `wasi:cli/run`."""

    def run(self) -> None:
        code = _script.main(sys.argv)
        if code:
            _leave(code)


def _leave(code: int) -> NoReturn:
    wasi_exit.exit_with_code(code)
    raise AssertionError("unreachable")
