import os
import stat

from posix_ipc import O_CREX, MessageQueue, SharedMemory
from said import name, show

memory = SharedMemory(name("fd"), O_CREX, size=10)
fd = memory.fd
print(os.write(fd, b"hello"), os.lseek(fd, 0, os.SEEK_CUR), os.lseek(fd, 1, os.SEEK_SET))
print(os.read(fd, 3), os.read(fd, 100), os.read(fd, 100))
print(os.pwrite(fd, b"J", 0), os.pread(fd, 5, 0), os.pread(fd, 5, 8), os.pread(fd, 5, 50))
print(os.lseek(fd, -2, os.SEEK_END), os.read(fd, 9))
print(os.ftruncate(fd, 4), memory.size, os.pread(fd, 10, 0))
print(os.pwrite(fd, b"end", 6), memory.size, os.pread(fd, 10, 0))
status = os.fstat(fd)
print(status.st_size, stat.S_ISREG(status.st_mode), oct(status.st_mode & 0o777))
print(os.stat(fd).st_size, os.path.getsize(fd), os.isatty(fd), os.get_inheritable(fd))
os.truncate(fd, 5)
os.fsync(fd)
print(memory.size)
show("seek before the start", os.lseek, fd, -1, os.SEEK_SET)
show("negative size", os.ftruncate, fd, -1)
double = os.dup(fd)
os.lseek(fd, 2, os.SEEK_SET)
print(double != fd, os.lseek(double, 0, os.SEEK_CUR))
os.close(fd)
print(os.pread(double, 10, 0))
show("closed", os.read, fd, 1)
show("closed twice", os.close, fd)
os.lseek(double, 0, os.SEEK_SET)
with os.fdopen(double, "r+b") as file:
    print(file.read(2), file.fileno() == double, file.seekable())
    file.seek(0)
    file.write(b"a line\nand another\n")
    file.flush()
    file.seek(0)
    print(file.readlines(), os.fstat(double).st_size)
show("closed with its file", os.fstat, double)
again = SharedMemory(memory.name)
with os.fdopen(again.fd, encoding="utf-8") as text:
    print(list(text))
memory.unlink()

queue = MessageQueue(name("fd"), O_CREX)
print(os.get_blocking(queue.mqd))
os.set_blocking(queue.mqd, False)
print(queue.block)
show("empty", queue.receive)
queue.block = True
print(os.get_blocking(queue.mqd))
queue.unlink()
