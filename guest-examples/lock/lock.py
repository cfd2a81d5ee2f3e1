"""A lock that programs of any language share, with a timeout.

usage: lock.py NAME PATIENCE HOLD        both in seconds

Runs in the sandbox and natively, with the module posix_ipc of CPython.
"""

import sys
import time

import posix_ipc


def main(name, patience, hold):
    # Whoever comes first makes it, free.
    lock = posix_ipc.Semaphore(name, posix_ipc.O_CREAT, initial_value=1)
    try:
        lock.acquire(patience)
    except posix_ipc.BusyError:
        print("somebody else has it")
        return 1
    try:
        print("mine")
        time.sleep(hold)
    finally:
        lock.release()
    print("given back")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])))
