"""Everybody reads the counter, adds one, and writes it: two that read the same value count
once together. Right: a lock is held from the read to the write."""

import contextlib
import mmap
import sys

import posix_ipc

number, right = int(sys.argv[1]), "right" in sys.argv
MEMBERS = 2

state = posix_ipc.SharedMemory("/state", posix_ipc.O_CREAT, size=4)
lock = posix_ipc.Semaphore("/lock", posix_ipc.O_CREAT, initial_value=1)
done = posix_ipc.Semaphore("/done", posix_ipc.O_CREAT)

with mmap.mmap(state.fd, 4) as view:
    with lock if right else contextlib.nullcontext():
        count = int.from_bytes(view[:4], "little")
        view[:4] = (count + 1).to_bytes(4, "little")
    done.release()
    if number == 0:
        for _ in range(MEMBERS):
            done.acquire()
        assert int.from_bytes(view[:4], "little") == MEMBERS, "the counter has lost something"
