"""A stage of a relay, see ../README.md. The same source runs natively, with the module
posix_ipc of CPython, and as a guest.

usage: relay.py produce PREFIX COUNT
       relay.py consume PREFIX
"""

import mmap
import struct
import sys
import time

import posix_ipc

SLOTS = 4
HEADER = 64
SLOT_SIZE = 4096
SIZE = HEADER + SLOTS * SLOT_SIZE
FREE, FILLED, TRANSFORMED = range(3)
# slot, length, seed, checksum
JOB = struct.Struct("<4I")
WORD = 0xFFFFFFFF


def payload(seed):
    x = seed * 2654435761 & WORD
    content = bytearray(1 + (x >> 16) % SLOT_SIZE)
    for i in range(len(content)):
        x ^= x << 13 & WORD
        x ^= x >> 17
        x ^= x << 5 & WORD
        content[i] = x & 0xFF
    return bytes(content)


def transformed(content):
    return content.translate(bytes(byte ^ 0x5A for byte in range(256)))


def fnv(content):
    value = 2166136261
    for byte in content:
        value = (value ^ byte) * 16777619 & WORD
    return value


def priority(seed):
    return 1 + seed % 3


class Wrong(Exception):
    """A peer did not do what it should have."""


def want(condition, what, seed):
    if not condition:
        raise Wrong(f"job {seed}: wrong {what}")


class Slots:
    """A byte of state for each slot, and their payloads."""

    def __init__(self, shared_memory, lock):
        self.lock = lock  # of the states: others change their neighbours
        self.memory = mmap.mmap(shared_memory.fd, SIZE)
        shared_memory.close_fd()

    def state(self, slot):
        with self.lock:
            return self.memory[slot]

    def set_state(self, slot, state):
        with self.lock:
            self.memory[slot] = state

    def get(self, slot, length):
        start = HEADER + slot * SLOT_SIZE
        return self.memory[start : start + length]

    def put(self, slot, content):
        start = HEADER + slot * SLOT_SIZE
        self.memory[start : start + len(content)] = content


def produce(prefix, count):
    room = posix_ipc.Semaphore(f"{prefix}.room", posix_ipc.O_CREX, initial_value=SLOTS)
    memory = posix_ipc.SharedMemory(f"{prefix}.slots", posix_ipc.O_CREX, size=SIZE)
    lock = posix_ipc.Semaphore(f"{prefix}.lock", posix_ipc.O_CREX, initial_value=1)
    slots = Slots(memory, lock)
    # The queue comes last: where it is, the others are.
    jobs = posix_ipc.MessageQueue(
        f"{prefix}.jobs", posix_ipc.O_CREX, max_messages=8, max_message_size=JOB.size, read=False
    )
    in_slot = [0] * SLOTS  # what was put there last

    def release(slot):
        seed = in_slot[slot]
        expected = transformed(payload(seed))
        want(slots.get(slot, len(expected)) == expected, "transformed byte", seed)
        slots.set_state(slot, FREE)

    total = 0
    for seed in range(1, count + 1):
        room.acquire()
        slot = next((slot for slot in range(SLOTS) if slots.state(slot) != FILLED), None)
        want(slot is not None, "count of free slots", seed)
        if slots.state(slot) == TRANSFORMED:
            release(slot)
        content = payload(seed)
        slots.put(slot, content)
        slots.set_state(slot, FILLED)
        in_slot[slot] = seed
        total += len(content)
        jobs.send(JOB.pack(slot, len(content), seed, fnv(content)), priority=priority(seed))
    for _ in range(SLOTS):
        room.acquire()
    for slot in range(SLOTS):
        want(slots.state(slot) != FILLED, "count of free slots", in_slot[slot])
        if slots.state(slot) == TRANSFORMED:
            release(slot)
    jobs.send(b"", priority=0)
    room.unlink()
    lock.unlink()
    memory.unlink()
    jobs.unlink()
    print(f"produced {count} jobs, {total} bytes")


def consume(prefix):
    while True:
        try:
            jobs = posix_ipc.MessageQueue(f"{prefix}.jobs", write=False)
            break
        except posix_ipc.ExistentialError:
            time.sleep(0.001)
    room = posix_ipc.Semaphore(f"{prefix}.room")
    lock = posix_ipc.Semaphore(f"{prefix}.lock")
    slots = Slots(posix_ipc.SharedMemory(f"{prefix}.slots"), lock)

    count = total = checksum = 0
    while True:
        message, sent = jobs.receive()
        if not message:
            break
        slot, length, seed, job_checksum = JOB.unpack(message)
        want(slot < SLOTS and slots.state(slot) == FILLED, "slot", seed)
        want(sent == priority(seed), "priority", seed)
        expected = payload(seed)
        want(length == len(expected), "length", seed)
        found = slots.get(slot, length)
        want(found == expected, "byte", seed)
        want(fnv(found) == job_checksum, "checksum", seed)
        slots.put(slot, transformed(found))
        slots.set_state(slot, TRANSFORMED)
        room.release()
        count += 1
        total += length
        checksum = checksum + job_checksum & WORD
    print(f"consumed {count} jobs, {total} bytes, checksum {checksum:08x}")


def main(arguments):
    match arguments:
        case ["produce", prefix, count]:
            produce(prefix, int(count))
        case ["consume", prefix]:
            consume(prefix)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
