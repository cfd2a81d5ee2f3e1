"""What arrives while the only thread waits; sent by `sender.py` beside this guest."""

import queue
import select
import signal
import sys
import threading
import time

import posix_ipc

PREFIX = "/" + sys.argv[1]
jobs = posix_ipc.MessageQueue(PREFIX + ".jobs")
ready = posix_ipc.Semaphore(PREFIX + ".ready")
never = posix_ipc.Semaphore(PREFIX + ".never")
heard = []
signal.signal(signal.SIGUSR1, lambda number, frame: heard.append("signal"))


def registered(notification):
    """Asks for a message, and only then lets the sender send one."""
    del heard[:]
    jobs.request_notification(notification)
    ready.release()


def callback(parameter):
    heard.append(parameter)
    jobs.receive()


registered((callback, "slept"))
start = time.monotonic()
time.sleep(1)
print(heard, time.monotonic() - start >= 1)

registered((lambda parameter: never.release(), None))
never.acquire()
print("a callback gives what is waited for")
jobs.receive()

registered(signal.SIGUSR1)
try:
    never.acquire(20)
except posix_ipc.SignalError as error:
    print(error, heard)
jobs.receive()

registered((callback, "selected"))
print(select.select([], [], [], 1), heard)

event = threading.Event()
registered((lambda parameter: (jobs.receive(), event.set()), None))
print("event", event.wait(20))
start = time.monotonic()
event.clear()
print("event", event.wait(0.2), 0.2 <= time.monotonic() - start < 5)

results = queue.Queue()
registered((lambda parameter: results.put(jobs.receive()[0]), None))
print("queue", results.get())
try:
    results.get(timeout=0.1)
except queue.Empty:
    print("queue empty")
try:
    event.wait()
except RuntimeError as error:
    print(error)
