"""What a guest can know of `resource`: the size of a page."""

from __future__ import annotations

import posix_ipc

error = OSError


def getpagesize() -> int:
    """The bytes of a memory page of the machine."""
    return posix_ipc.PAGE_SIZE
