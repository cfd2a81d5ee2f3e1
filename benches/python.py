"""What benches/ipc does natively, in Python with the module posix_ipc.

Reads lines of: what, how often, and a size; answers each with nanoseconds, or with - if it
does no such thing. The arguments say the names.
"""

import mmap
import os
import sys
import time

import posix_ipc


def main():
    names = dict(word.split("=") for word in sys.argv[1:])
    gate = posix_ipc.Semaphore(names["gate"])
    jobs = posix_ipc.MessageQueue(names["jobs"])
    segment = posix_ipc.SharedMemory(names["object"])
    memory = mmap.mmap(segment.fd, segment.size)
    clock = time.perf_counter_ns
    print("ready", flush=True)
    for line in sys.stdin:
        what, count, size = line.split()
        count, size = int(count), int(size)
        repeat = range(count)
        data = b"7" * size
        if what == "sem-pair":
            release, acquire = gate.release, gate.acquire
            start = clock()
            for _ in repeat:
                release()
                acquire(0)
        elif what == "sem-pair-wait":
            release, acquire = gate.release, gate.acquire
            start = clock()
            for _ in repeat:
                release()
                acquire()
        elif what == "sem-release":
            release = gate.release
            start = clock()
            for _ in repeat:
                release()
        elif what == "mq":
            send, receive = jobs.send, jobs.receive
            start = clock()
            for _ in repeat:
                send(data)
                receive()
        elif what == "shm-read":
            start = clock()
            for _ in repeat:
                memory[:size]
        elif what == "shm-write":
            start = clock()
            for _ in repeat:
                memory[:size] = data
        elif what == "sem-open":
            name = names["gate"]
            start = clock()
            for _ in repeat:
                posix_ipc.Semaphore(name).close()
        elif what == "shm-open":
            name = names["object"]
            start = clock()
            for _ in repeat:
                posix_ipc.SharedMemory(name).close_fd()
        elif what == "mq-open":
            name = names["jobs"]
            start = clock()
            for _ in repeat:
                posix_ipc.MessageQueue(name).close()
        elif what == "sem-create":
            name = names["new"]
            start = clock()
            for _ in repeat:
                posix_ipc.Semaphore(name, posix_ipc.O_CREX).close()
                posix_ipc.unlink_semaphore(name)
        elif what == "shm-create":
            name = names["new"]
            start = clock()
            for _ in repeat:
                posix_ipc.SharedMemory(name, posix_ipc.O_CREX, size=4096).close_fd()
                posix_ipc.unlink_shared_memory(name)
        elif what == "mq-create":
            name = names["new"]
            start = clock()
            for _ in repeat:
                posix_ipc.MessageQueue(
                    name, posix_ipc.O_CREX, max_messages=4, max_message_size=64
                ).close()
                posix_ipc.unlink_message_queue(name)
        else:
            print("-", flush=True)
            continue
        print(clock() - start, flush=True)


if __name__ == "__main__":
    main()
