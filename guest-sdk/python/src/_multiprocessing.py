"""As much of this module as `multiprocessing.resource_tracker` asks for."""

from __future__ import annotations

from posix_ipc import unlink_semaphore as sem_unlink

__all__ = ["sem_unlink"]
