"""A map that is the object: what the interpreter does in it, byte by byte as elsewhere."""

import array
import hashlib
import io
import mmap
import os
import random
import struct
import sys
import zlib

import posix_ipc

SIZE = 200_000
LENGTHS = (0, 1, 7, 15, 16, 17, 63, 64, 100, 511, 512, 513, 1500, 5000, 70_000)

memory = posix_ipc.SharedMemory("/mapped", posix_ipc.O_CREX, size=SIZE)
first = mmap.mmap(memory.fd, SIZE)
second = mmap.mmap(memory.fd, SIZE)
view = memoryview(first)
second[0] = 7
print("the object:", view[0] == 7)

# The same in memory of the guest's own, which the bulk instructions are for.
model = bytearray(bytes(view))
chance = random.Random(1)
for turn in range(2000):
    length = chance.choice(LENGTHS)
    to = chance.randrange(SIZE - length)
    near = min(max(0, to + chance.randrange(-40, 40)), SIZE - length)
    start = chance.choice((near, chance.randrange(SIZE - length)))
    data = chance.randbytes(length)
    action = chance.randrange(6)
    if action == 0:
        view[to : to + length] = view[start : start + length]
    elif action == 1:
        first.move(to, start, length)
    elif action == 2:
        first[to : to + length] = view[start : start + length]
    elif action == 3:
        second[to : to + length] = data
    elif action == 4:
        view[to : to + length] = data
    else:
        data = bytes((turn % 256,)) * length
        io.BytesIO(data).readinto(view[to : to + length])
    if action < 3:
        data = bytes(model[start : start + length])
    model[to : to + length] = data
    if turn % 100 == 99 and bytes(view) != model:
        raise AssertionError(turn)
print("alike:", second[:] == model == bytearray(view))

print(hashlib.sha256(view).digest() == hashlib.sha256(model).digest())
print(zlib.crc32(view) == zlib.crc32(model))
print(array.array("I", view[:400].tobytes()) == array.array("I", model[:400]))
print(struct.unpack_from("<IQ", view, 3) == struct.unpack_from("<IQ", model, 3))
words = view.cast("I")
words[5] = 0x01020304
print(second[20:24])
struct.pack_into("<Q", first, 8, 99)
print(struct.unpack_from("<Q", second, 8)[0], view.readonly)

# The host takes no bytes from there, so they are copied first.
queue = posix_ipc.MessageQueue("/mapped", posix_ipc.O_CREX)
queue.send(view[:4096])
print(queue.receive()[0] == second[:4096])
first[:6] = b"text\n\n"
sys.stdout.flush()
print(os.write(1, view[:5]), os.pwrite(memory.fd, view[:5], 100), second[100:105])
sys.stdout.flush()
sys.stdout.buffer.write(view[:5])
sys.stdout.flush()
sys.stdout.buffer.raw.write(view[:5])

try:
    first.close()
except BufferError as error:
    print(error)
words.release()
view.release()
first.resize(2 * SIZE)
print(len(first), first[2 * SIZE - 1], memory.size, first[:4])
first.close()
reader = mmap.mmap(memory.fd, SIZE, prot=mmap.PROT_READ)
print(memoryview(reader).readonly, reader[:4])
