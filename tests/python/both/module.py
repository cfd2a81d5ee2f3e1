import copy
import os
import pickle
import resource
import weakref

import posix_ipc
from posix_ipc import O_CREX, MessageQueue, Semaphore, SharedMemory
from said import name, show

for constant in sorted(dir(posix_ipc)):
    value = getattr(posix_ipc, constant)
    if constant.isupper() and constant[:2] not in ("O_", "VE", "_L"):
        print(constant, value)
for flag in ("O_CREAT", "O_EXCL", "O_TRUNC", "O_RDONLY", "O_WRONLY", "O_RDWR", "O_NONBLOCK"):
    print(flag, getattr(posix_ipc, flag) == getattr(os, flag))
print(posix_ipc.O_CREX == posix_ipc.O_CREAT | posix_ipc.O_EXCL)
print(posix_ipc.VERSION == posix_ipc.__version__, type(posix_ipc.__author__))
print(resource.getpagesize() == posix_ipc.PAGE_SIZE)
show("no such", getattr, posix_ipc, "NO_SUCH_THING")

for error in ("Error", "SignalError", "PermissionsError", "ExistentialError", "BusyError"):
    kind = getattr(posix_ipc, error)
    print(kind, kind.__bases__, kind("why").args)
for kind, unlink in (
    (Semaphore, posix_ipc.unlink_semaphore),
    (SharedMemory, posix_ipc.unlink_shared_memory),
    (MessageQueue, posix_ipc.unlink_message_queue),
):
    print(kind, kind.__name__, kind.__module__)
    made = kind(name("module"), O_CREX)
    print(hasattr(made, "__dict__"), made == made, made != kind(name("module")))
    show("pickle", lambda: type(pickle.dumps(made)) and None)
    show("copy", lambda: type(copy.copy(made)) and None)
    try:
        weakref.ref(made)
    except TypeError:
        print("weakref: TypeError")
    show("before it is opened", lambda kind=kind: str(kind.__new__(kind)))

    class Sub(kind):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.more = 1

    sub = Sub(name("module"))
    print(sub.more, isinstance(sub, kind), sub.name == made.name)
    unlink(name("module"))

from posix_ipc import *  # noqa: E402, F403

print(Semaphore is posix_ipc.Semaphore, BusyError, unlink_semaphore.__name__)  # noqa: F405
