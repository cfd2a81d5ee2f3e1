"""The producer must not block, and drops a message that does not fit: the consumer waits for
it for ever. Right: it waits until there is room."""

import sys

import posix_ipc

number, right = int(sys.argv[1]), "right" in sys.argv
MESSAGES, ROOM = 4, 2

jobs = posix_ipc.MessageQueue("/jobs", posix_ipc.O_CREAT, max_messages=ROOM, max_message_size=8)
if number == 0:
    for _ in range(MESSAGES):
        jobs.receive()
else:
    for _ in range(MESSAGES):
        try:
            jobs.send(b"job", timeout=None if right else 0)
        except posix_ipc.BusyError:
            pass
