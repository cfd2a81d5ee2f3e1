"""A native process that sends a message whenever the guest is ready for one."""

import sys
import time

import posix_ipc

PREFIX = "/" + sys.argv[1]
jobs = posix_ipc.MessageQueue(PREFIX + ".jobs")
ready = posix_ipc.Semaphore(PREFIX + ".ready")
for number in range(int(sys.argv[2])):
    ready.acquire(60)
    time.sleep(0.1)
    jobs.send(f"job {number}")
