"""Two workers take two locks, each in its own order, and wait for each other for ever.
Right: everybody takes them in one order."""

import sys

import posix_ipc

number, right = int(sys.argv[1]), "right" in sys.argv

locks = [posix_ipc.Semaphore(name, posix_ipc.O_CREAT, initial_value=1) for name in ("/left", "/right")]
first = 0 if right else number % 2
with locks[first], locks[1 - first]:
    print(number, "has both")
