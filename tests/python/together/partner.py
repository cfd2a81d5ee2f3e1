"""One of two partners, of which one is a guest and one is not. Either can be either.

The first makes the objects, the second opens them. They count together in shared memory
under a semaphore, then the first sends jobs and the second answers.
"""

import mmap
import struct
import sys

import posix_ipc

role, prefix, rounds = sys.argv[1], "/" + sys.argv[2], int(sys.argv[3])
flags = posix_ipc.O_CREX if role == "first" else 0

memory = posix_ipc.SharedMemory(prefix + ".memory", flags, size=4096 if flags else 0)
gate = posix_ipc.Semaphore(prefix + ".gate", flags, initial_value=1)
jobs = posix_ipc.MessageQueue(prefix + ".jobs", flags, max_messages=4, max_message_size=64)
answers = posix_ipc.MessageQueue(prefix + ".answers", flags, max_messages=4, max_message_size=64)
done = posix_ipc.Semaphore(prefix + ".done", flags)
print("ready", flush=True)
sys.stdin.readline()

with mmap.mmap(memory.fd, memory.size) as shared:
    memory.close_fd()
    for _ in range(rounds):
        with gate:
            (count,) = struct.unpack("<Q", shared[8:16])
            shared[8:16] = struct.pack("<Q", count + 1)
    done.release()
    if role == "first":
        for _ in range(2):
            done.acquire(60)
        print("counted", struct.unpack("<Q", shared[8:16])[0])
        shared[100:105] = b"hello"
        done.release()
        total = 0
        for number in range(rounds):
            jobs.send(str(number), 60, priority=number % 3)
            answer, priority = answers.receive(60)
            total += int(answer)
        jobs.send(b"", 60)
        print("total", total)
        for thing in (memory, gate, jobs, answers, done):
            thing.unlink()
    else:
        while True:
            job, priority = jobs.receive(60)
            if not job:
                break
            answers.send(str(int(job) * 2).encode(), 60, priority)
        print("read", shared[100:105])
