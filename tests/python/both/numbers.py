import os
import stat

from posix_ipc import O_CREX, MessageQueue, SharedMemory
from said import name, show

folder = os.path.dirname(os.path.abspath(__file__))
free = os.open(folder, os.O_RDONLY)
os.close(free)

memory = SharedMemory(name("number"), O_CREX, size=10)
queue = MessageQueue(name("number"), O_CREX)
print(memory.fd - free, queue.mqd - free, os.dup(memory.fd) - free)
file = os.open(folder, os.O_RDONLY)
print(file - free)
os.close(memory.fd)
again = os.open(folder, os.O_RDONLY)
print(again - free)
print(stat.S_ISDIR(os.fstat(again).st_mode))
os.close(again)
memory.unlink()
memory = SharedMemory(name("number"), O_CREX, size=20)
print(memory.fd - free, os.fstat(memory.fd).st_size)
os.closerange(free, free + 10)
show("closed with others", os.fstat, memory.fd)
show("closed with others", lambda: queue.current_messages)
os.close(0)
zero = SharedMemory(memory.name)
print(zero.fd, os.pread(0, 3, 0))
zero.unlink()
queue.unlink()
