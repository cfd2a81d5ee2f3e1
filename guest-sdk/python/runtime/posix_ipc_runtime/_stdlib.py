"""The standard library, inside the component.

A component has no files of its own. While it is built the standard library is a folder;
every module of it is compiled then, and kept, with its source for tracebacks, in the
component's memory. What nearly every script needs is imported then as well.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import marshal
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from importlib.util import decode_source
from types import CodeType, ModuleType
from typing import Final, NamedTuple

ROOT: Final = "/python"
"""Where the standard library is at build time, and where tracebacks say that it is."""

# Of no use without a screen, a compiler, a network or files to install to.
_LEFT_OUT: Final = frozenset(
    (
        "__pycache__",
        "config-3.14-wasm32-wasi",
        "ctypes",
        "curses",
        "ensurepip",
        "idlelib",
        "lib-dynload",
        "site-packages",
        "tkinter",
        "turtle.py",
        "turtledemo",
        "venv",
    )
)

_PRELOADED: Final = """
    posix_ipc mmap resource
    argparse array asyncio base64 bisect calendar collections contextlib contextvars copy csv
    dataclasses datetime decimal enum errno fnmatch fractions functools getopt glob hashlib heapq
    hmac inspect io itertools json locale logging math numbers operator os.path pathlib pickle
    platform pprint queue random re runpy sched secrets selectors shlex shutil signal socket
    statistics string struct subprocess tempfile textwrap threading time timeit tokenize
    traceback types typing unittest unittest.mock uuid warnings weakref zlib
""".split()


# Of the folders that componentize-py was given, those that are meant have one of these.
_OWN: Final = ("posix_ipc", "posix_ipc_runtime")


class _Module(NamedTuple):
    path: str
    is_package: bool
    code: bytes
    source: bytes


class Library(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds and loads the modules that are kept in memory."""

    def __init__(self) -> None:
        self._modules: dict[str, _Module] = {}

    def add_folder(self, folder: str, shown: str) -> None:
        """Keeps all modules of a folder; tracebacks say that they are in `shown`."""
        for name, file, is_package in _walk(folder, ""):
            with open(file, "rb") as opened:
                source = opened.read()
            path = shown + file.removeprefix(folder)
            try:
                code = compile(source, path, "exec", dont_inherit=True)
            except SyntaxError:
                continue  # The standard library has examples of what is none.
            packed = zlib.compress(marshal.dumps(code), 9)
            self._modules[name] = _Module(path, is_package, packed, zlib.compress(source, 9))

    def preload(self) -> None:
        """Imports what scripts are likely to need."""
        for name in _PRELOADED:
            importlib.import_module(name)

    def adopt_loaded(self) -> None:
        """Has modules that were loaded from files find their source here from now on."""
        for name, module in list(sys.modules.items()):
            spec = getattr(module, "__spec__", None)
            if spec is not None and self._modules.get(name, _NONE).path == spec.origin:
                spec.loader = self
                module.__loader__ = self

    def install(self, *, first: bool) -> None:
        """Takes part in imports, before files or after them."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        sys.meta_path.insert(0 if first else len(sys.meta_path), self)

    # ---- For importlib ---------------------------------------------------------------------

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        module = self._modules.get(fullname)
        if module is None:
            return None
        spec = importlib.machinery.ModuleSpec(
            fullname, self, origin=module.path, is_package=module.is_package
        )
        spec.has_location = True
        if module.is_package:
            spec.submodule_search_locations = [os.path.dirname(module.path)]
        return spec

    def is_package(self, fullname: str) -> bool:
        return self._get(fullname).is_package

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = marshal.loads(zlib.decompress(self._get(fullname).code))
        return code

    def get_source(self, fullname: str) -> str:
        return decode_source(zlib.decompress(self._get(fullname).source))

    def get_filename(self, fullname: str) -> str:
        """Where tracebacks say that the module is."""
        return self._get(fullname).path

    def exec_module(self, module: ModuleType) -> None:
        exec(self.get_code(module.__name__), module.__dict__)

    def _get(self, fullname: str) -> _Module:
        try:
            return self._modules[fullname]
        except KeyError:
            raise ImportError(f"no module {fullname!r} in the runtime", name=fullname) from None


_NONE: Final = _Module("", False, b"", b"")


def pack() -> Library:
    """A library of all that there is to import while the component is built."""
    library = Library()
    library.add_folder(ROOT, ROOT)
    for folder in sys.path:
        # The path has whatever else is installed beside componentize-py as well.
        if any(os.path.isdir(f"{folder}/{package}") for package in _OWN):
            library.add_folder(folder, ROOT)
    return library


def _walk(folder: str, prefix: str) -> Iterator[tuple[str, str, bool]]:
    """The modules of a folder: name, file, and whether it is a package."""
    for entry in sorted(os.listdir(folder)):
        file = f"{folder}/{entry}"
        if entry in _LEFT_OUT and not (prefix and entry.endswith(".py")):
            continue
        stem, extension = os.path.splitext(entry)
        if extension == ".py" and (stem.isidentifier() or stem.startswith("_sysconfigdata")):
            if stem != "__init__":
                yield prefix + stem, file, False
        elif entry.isidentifier() and os.path.isfile(f"{file}/__init__.py"):
            yield prefix + entry, f"{file}/__init__.py", True
            yield from _walk(file, f"{prefix}{entry}.")
