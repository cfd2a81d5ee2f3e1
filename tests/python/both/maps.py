import mmap
import os
import struct

from posix_ipc import O_CREX, PAGE_SIZE, SharedMemory
from said import kind, name, show

memory = SharedMemory(name("map"), O_CREX, size=100)
other = SharedMemory(memory.name)
first = mmap.mmap(memory.fd, memory.size)
second = mmap.mmap(other.fd, 0)
other.close_fd()
memory.unlink()

print(len(first), len(second), first.size(), first.closed, repr(first))
first[:5] = b"hello"
print(second[:6], second[4], second[-100:5:2], second[4::-1], second[90:1000], second[50:40])
second[0] = ord("j")
print(first[:5], first[0])
first[0:10:3] = b"abcd"
print(second[:11])
show("wrong size", first.__setitem__, slice(0, 3), b"ab")
show("out of range", first.__getitem__, 100)
show("out of range", first.__setitem__, -101, 0)
show("no byte", first.__setitem__, 0, 256)
show("no byte", first.__setitem__, 0, b"a")
kind("no index", first.__getitem__, "a")
kind("no bytes", first.__setitem__, slice(0, 1), "a")

print(first.seek(10) in (10, None), first.tell(), first.write(b"a line\nanother\n"), first.tell())
first.seek(10)
print(first.readline(), first.readline(), first.tell())
print(first.read(3), first.read_byte(), first.tell())
first.seek(-4, os.SEEK_END)
print(first.read(), first.read(), first.tell())
show("read_byte at the end", first.read_byte)
show("write at the end", first.write, b"x")
show("write_byte at the end", first.write_byte, 1)
for position in [(101,), (-1,), (-1, os.SEEK_SET), (1, os.SEEK_END), (0, 9)]:
    show(f"seek {position}", first.seek, *position)
first.seek(-50, os.SEEK_CUR)
first.write_byte(255)
print(first.tell(), second[50])

first.seek(0)
print(first.find(b"line"), first.find(b"line", 13), first.find(b"l", 0, 3), first.find(b""))
print(first.rfind(b"\n"), first.rfind(b"\n", 0, 20), first.rfind(b"nowhere"), first.find(b"er", -85))
first.seek(20)
print(first.find(b"line"), first.find(b"another"))
first.move(60, 10, 7)
print(first[60:67])
show("move too far", first.move, 95, 0, 10)
print(first.flush(), second.flush(0, 50))
show("iterate", lambda: list(first)[:3])
show("contains", lambda: b"a" in first)

print(struct.unpack_from("<H", first, 60))
struct.pack_into("<I", second, 64, 0x01020304)
print(first[64:68], bytes(first)[:5], memoryview(second).nbytes)
with memoryview(second) as view:
    view[70:73] = b"xyz"
    print(view[70:73].tobytes(), view.readonly)
print(first[70:73])
print(bytearray(b"x") + first[70:72], b"".join([first[70:72], b"-"]))

with mmap.mmap(memory.fd, 100, access=mmap.ACCESS_READ) as reader:
    print(reader[:5])
    show("write a read-only map", reader.__setitem__, 0, 1)
    show("write a read-only map", reader.write, b"x")
    show("write a read-only map", reader.write_byte, 1)
    show("resize a read-only map", reader.resize, 10)
    print(memoryview(reader).readonly)
print(reader.closed)
show("closed", lambda: reader[0])
show("closed", lambda: len(reader))
show("closed", reader.read)
reader.close()

with mmap.mmap(memory.fd, 100, access=mmap.ACCESS_COPY) as private:
    private[:3] = b"mine"[:3]
    print(private[:3] != first[:3], first[:1])
read_only = SharedMemory(name("map2"), O_CREX, size=10)
reopened = SharedMemory(read_only.name, read_only=True)
show("write to a read-only segment", mmap.mmap, reopened.fd, 10)
print(len(mmap.mmap(reopened.fd, 10, prot=mmap.PROT_READ)))
read_only.unlink()

first.resize(200)
print(len(first), memory.size, first[199], second.size(), len(second))
empty = SharedMemory(name("map3"), O_CREX)
empty.unlink()
show("empty", mmap.mmap, empty.fd, 0)
show("longer", mmap.mmap, empty.fd, 10)
show("negative", mmap.mmap, empty.fd, -1)
show("not a descriptor", mmap.mmap, 999, 10)
show("both ways", mmap.mmap, memory.fd, 10, prot=mmap.PROT_READ, access=mmap.ACCESS_READ)

large = SharedMemory(name("map4"), O_CREX, size=3 * PAGE_SIZE)
large.unlink()
tail = mmap.mmap(large.fd, 0, offset=2 * PAGE_SIZE)
whole = mmap.mmap(large.fd, 3 * PAGE_SIZE)
tail[0] = 7
print(len(tail) == PAGE_SIZE, whole[2 * PAGE_SIZE])
show("odd offset", mmap.mmap, large.fd, 10, offset=3)
whole[PAGE_SIZE - 2 : PAGE_SIZE + 2] = b"over"
print(whole.find(b"over") == PAGE_SIZE - 2, mmap.PAGESIZE == mmap.ALLOCATIONGRANULARITY == PAGE_SIZE)
anonymous = mmap.mmap(-1, 20)
anonymous.write(b"own")
print(anonymous[:4], len(anonymous))
whole.close()
tail.close()
show("closed", tail.flush)
