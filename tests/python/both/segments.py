import os

import posix_ipc
from posix_ipc import O_CREAT, O_CREX, O_EXCL, O_TRUNC, SharedMemory
from said import kind, name, show, text

N = name("shm")

show("missing", SharedMemory, N)
show("excl alone", SharedMemory, N, O_EXCL)
memory = SharedMemory(N, O_CREX, 0o640)
print(text(str(memory)), text(memory), text(memory.name), oct(memory.mode), memory.size)
print(memory.fd > 2, memory.fileno() == memory.fd)
show("again", SharedMemory, N, O_CREX)
grown = SharedMemory(N, size=100)
print(memory.size, grown.size)
shrunk = SharedMemory(N, O_CREAT, size=10)
print(memory.size)
print("size 0 changes nothing", SharedMemory(N, size=0).size)

for size in (-1,):
    show(f"size {size}", SharedMemory, name("bad size"), O_CREX, size=size)
for size in ("1", 1.5, None):
    kind(f"size {size!r}", SharedMemory, N, size=size)
print("still there", memory.size)

read_only = SharedMemory(N, read_only=True)
os.pwrite(memory.fd, b"0123456789", 0)
print(os.pread(read_only.fd, 20, 0))
show("write a read-only one", os.pwrite, read_only.fd, b"x", 0)
show("truncate a read-only one", os.ftruncate, read_only.fd, 5)

truncated = SharedMemory(N, O_TRUNC)
print(memory.size, truncated.size)
truncated = SharedMemory(N, O_CREAT | O_TRUNC, size=64)
print(memory.size, os.pread(memory.fd, 100, 0) == bytes(64))

kind("set a size", setattr, memory, "size", 1)
kind("set an attribute", setattr, memory, "fresh", 1)
print(hasattr(memory, "__enter__"), hasattr(memory, "close"))

fd = grown.fd
show("close_fd", grown.close_fd)
print(grown.fd, grown.fileno(), text(grown))
show("close_fd again", grown.close_fd)
show("closed size", lambda: grown.size)
show("closed descriptor", os.fstat, fd)
closed = shrunk.fd
os.close(closed)
print(shrunk.fd == closed)
show("close_fd after os.close", shrunk.close_fd)
show("size after os.close", lambda: shrunk.size)

show("unlink", grown.unlink)
show("unlink again", memory.unlink)
show("unlink by name", posix_ipc.unlink_shared_memory, N)
print("unlinked, still there", memory.size)
memory.close_fd()

unique = SharedMemory(None, O_CREX, size=7)
print(unique.name[0], unique.size)
unique.unlink()
show("none", SharedMemory, None, O_CREAT)
