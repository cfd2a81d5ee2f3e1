"""The generated bindings, under the names that this package uses for them.

componentize-py names a module after its interface, and puts the package's name in front
where two interfaces of a world have the same name.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType

from componentize_py_types import Err

__all__ = [
    "Err",
    "building",
    "limits",
    "message_queue",
    "monotonic_clock",
    "poll",
    "semaphore",
    "shared_memory",
    "types",
]


# An exception whose attributes cannot be set breaks whatever handles exceptions by setting
# their `__traceback__`, such as `contextlib` and `unittest`.
for _method in ("__setattr__", "__delattr__"):
    if _method in vars(Err):
        delattr(Err, _method)


def _binding(package: str, interface: str) -> ModuleType:
    for name in (f"{package}_{interface}", interface):
        try:
            return importlib.import_module(f"wit_world.imports.{name}")
        except ModuleNotFoundError:
            pass
    raise ImportError(f"the component's world does not import {package}/{interface}")


limits = _binding("posix_ipc", "limits")
message_queue = _binding("posix_ipc", "message_queue")
monotonic_clock = _binding("wasi_clocks", "monotonic_clock")
poll = _binding("wasi_io", "poll")
semaphore = _binding("posix_ipc", "semaphore")
shared_memory = _binding("posix_ipc", "shared_memory")
types = _binding("posix_ipc", "types")


def building() -> bool:
    """Whether this runs while the component is built, when there is no host to call.

    componentize-py sets the variable for that time and takes it away afterwards.
    """
    return os.environ.get("PYTHONHOME") == "/python"
