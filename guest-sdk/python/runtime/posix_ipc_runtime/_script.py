"""A script from start to end, as `python script.py` runs it."""

from __future__ import annotations

import atexit
import builtins
import contextlib
import importlib.machinery
import io
import linecache
import os
import sys
import threading
import traceback
from types import CodeType, ModuleType, TracebackType
from typing import Any, Final

from posix_ipc import _descriptors

from . import _traces

# The modules that an interpreter has loaded before it looks at any script: a file beside
# the script with such a name is not what `import` finds, natively and here. With what this
# runtime has in C, which has state.
_LOADED_FIRST: Final = frozenset(
    """
    __main__ _abc _codecs _collections_abc _frozen_importlib _frozen_importlib_external _imp
    _io _posix_ipc _sitebuiltins _stat _thread _warnings _weakref abc builtins codecs encodings
    errno genericpath io marshal os os.path posix posixpath site stat sys time zipimport
    """.split()
) | frozenset(sys.builtin_module_names)


def main(arguments: list[str]) -> int:
    """Runs the script that is the first argument. Returns the exit code."""
    _open_streams()
    _traces.install()
    if not arguments or not arguments[0]:
        print("the runtime was given no script to run", file=sys.stderr)
        return 2
    script = arguments[0]
    code = _finish(lambda: _run(script))
    for step in (threading._shutdown, atexit._run_exitfuncs):  # type: ignore[attr-defined]
        code = _finish(step, code)
    return _close_streams(code)


def _run(script: str) -> None:
    folder = os.path.dirname(script) or "."
    if folder != ".":
        os.chdir(folder)
    _descriptors.folder = os.getcwd()
    sys.path[:] = [folder, *filter(None, os.environ.get("PYTHONPATH", "").split(":"))]
    sys.path_importer_cache.clear()
    sys.orig_argv = ["python", *sys.argv]
    _unload_shadowed()
    module = ModuleType("__main__")
    module.__file__ = script
    module.__builtins__ = builtins  # type: ignore[attr-defined]
    module.__loader__ = importlib.machinery.SourceFileLoader("__main__", script)
    module.__cached__ = None  # type: ignore[attr-defined]
    sys.modules["__main__"] = module
    exec(_compiled(script), module.__dict__)


def _compiled(script: str) -> CodeType:
    try:
        with io.open_code(script) as file:
            source = file.read()
    except OSError as error:
        sys.exit(f"can't open file {script!r}: {error}")
    return compile(source, script, "exec", dont_inherit=True)


def _unload_shadowed() -> None:
    """Forgets the modules of this runtime that the script has files of its own for.

    Only what an `import` would find there counts: no file that is called alike, and no folder
    without an `__init__.py`, which comes after the runtime's module.
    """
    entries: set[str] = set()
    for folder in sys.path:
        with contextlib.suppress(OSError):
            entries.update(entry.partition(".")[0] for entry in os.listdir(folder))
    shadowed = set()
    for name in {name.partition(".")[0] for name in sys.modules} & entries - _LOADED_FIRST:
        found = importlib.machinery.PathFinder.find_spec(name, sys.path)
        if found is not None and found.loader is not None:
            shadowed.add(name)
    for name in list(sys.modules):
        if name.partition(".")[0] in shadowed:
            del sys.modules[name]


def _finish(step: Any, code: int = 0) -> int:
    """Does one of the steps. Returns the exit code, of this step if that is its doing."""
    try:
        step()
    except SystemExit as leaving:
        return _exit_code(leaving.code)
    except BaseException as error:
        _report(error)
        return 1
    return code


def _exit_code(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, int):
        return value & 0xFF
    _print(value)
    return 1


def _report(error: BaseException) -> None:
    """Shows an exception as the interpreter does, from the script's first line on."""
    shown = _traces.without_runtime(error.__traceback__)
    error.__traceback__ = shown
    sys.last_exc = error
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, shown
    try:
        sys.excepthook(type(error), error, shown)
    except BaseException as second:
        second.__traceback__ = _traces.without_runtime(second.__traceback__)
        _print("Error in sys.excepthook:")
        traceback.print_exception(second)
        _print("\nOriginal exception was:")
        traceback.print_exception(error)


def _excepthook(
    kind: type[BaseException], error: BaseException, shown: TracebackType | None
) -> None:
    traceback.print_exception(kind, error, shown, colorize=_colours())  # type: ignore[call-overload]


def _colours() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")


def _print(value: object) -> None:
    if sys.stderr is not None:
        print(value, file=sys.stderr)


# ---- The standard streams -----------------------------------------------------------------


def _open_streams() -> None:
    """New streams: those of the build were for another process.

    Output is passed on line by line, also to a pipe: whatever ends the guest, such as a
    time limit, it was said before.
    """
    sys.stdin = sys.__stdin__ = _stream(0, "r", "strict")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _stream(1, "w", "strict")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _stream(2, "w", "backslashreplace")  # type: ignore[misc]
    sys.excepthook = sys.__excepthook__ = _excepthook
    linecache.clearcache()


def _stream(number: int, mode: str, errors: str) -> Any:
    names = ("<stdin>", "<stdout>", "<stderr>")
    raw = io.FileIO(number, mode, closefd=False)
    buffered = io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
    stream = io.TextIOWrapper(buffered, encoding="utf-8", errors=errors, line_buffering=mode == "w")
    raw.name = names[number]
    stream.mode = mode  # type: ignore[misc]
    return stream


def _close_streams(code: int) -> int:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError):
            pass  # The script has closed it, or put another in its place.
        except OSError as error:
            if stream is sys.stdout:
                _print(f"Exception ignored while flushing sys.stdout:\n{error!r}")
                code = code or 120
    return code
