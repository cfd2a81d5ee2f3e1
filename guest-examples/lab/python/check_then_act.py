"""Exactly one is to lead: the one that finds nobody. Two can find nobody, since looking and
creating are two calls. Right: O_CREX looks and creates at once."""

import sys

import posix_ipc

right = "right" in sys.argv
leaders = posix_ipc.Semaphore("/leaders", posix_ipc.O_CREAT, initial_value=1)


def leads():
    if right:
        try:
            posix_ipc.Semaphore("/leader", posix_ipc.O_CREX)
        except posix_ipc.ExistentialError:
            return False
        return True
    try:
        posix_ipc.Semaphore("/leader")
    except posix_ipc.ExistentialError:
        posix_ipc.Semaphore("/leader", posix_ipc.O_CREAT)
        return True
    return False


if leads():
    # Fails if somebody leads already.
    leaders.acquire(0)
