import array

import posix_ipc
from posix_ipc import O_CREAT, O_CREX, O_EXCL, O_NONBLOCK, MessageQueue
from said import kind, name, show, text

N = name("mq")

show("missing", MessageQueue, N)
show("excl alone", MessageQueue, N, O_EXCL)
queue = MessageQueue(N, O_CREX, 0o640, 3, 16)
print(text(str(queue)), text(queue), text(queue.name), oct(queue.mode))
print(queue.max_messages, queue.max_message_size, queue.current_messages, queue.block)
print(queue.mqd > 2, queue.fileno() == queue.mqd)
show("again", MessageQueue, N, O_CREX)
other = MessageQueue(N, O_CREAT, max_messages=0, max_message_size=-5)
print(other.max_messages, other.max_message_size)
show("neither direction", MessageQueue, N, read=False, write=False)

queue.send("low")
queue.send(b"high", priority=5)
queue.send(bytearray("grün", "utf-8"), priority=5, timeout=None)
print(other.current_messages)
show("full", other.send, "more", 0)
show("full after a while", other.send, "more", 0.05)
print(other.receive(), other.receive(timeout=1), other.receive(0))
show("empty", other.receive, 0)
show("empty after a while", other.receive, 0.05)
queue.send("")
queue.send(b"a\0b")
queue.send(memoryview(array.array("H", [1, 2])), priority=32767)
print(other.receive(), other.receive(), other.receive())
queue.send("x" * 16)
print(queue.receive())
show("too long", queue.send, "x" * 17)
show("too long in bytes", queue.send, "é" * 9)
for priority in (-1, 32768, 2**62):
    show(f"priority {priority}", queue.send, "x", priority=priority)
show("priority 2**63", queue.send, "x", priority=2**63)
for priority in ("1", 1.0, None):
    kind(f"priority {priority!r}", queue.send, "x", priority=priority)
show("strided", queue.send, memoryview(b"abcdef")[::2])
for timeout in (-1, "1", []):
    show(f"timeout {timeout!r}", queue.receive, timeout)
    show(f"timeout {timeout!r}", queue.send, "x", timeout)

queue.block = False
print(queue.block, other.block)
show("not blocking", queue.receive)
show("not blocking beats a timeout", queue.receive, 5)
for index in range(3):
    queue.send(str(index))
show("not blocking", queue.send, "x")
queue.block = "yes"
print(queue.block, [queue.receive() for _ in range(3)])
non_blocking = MessageQueue(N, O_NONBLOCK)
print(non_blocking.block)
show("opened so", non_blocking.receive)
non_blocking.close()

reader = MessageQueue(N, write=False)
writer = MessageQueue(N, read=0)
print(text(reader), text(writer))
show("send to a reader", reader.send, "x")
show("receive from a writer", writer.receive)
writer.send("through")
print(reader.receive())
kind("set a limit", setattr, queue, "max_messages", 1)
kind("set an attribute", setattr, queue, "fresh", 1)
print(hasattr(queue, "__enter__"))

show("close", other.close)
show("close again", other.close)
print(other.mqd, other.fileno(), other.max_messages, other.max_message_size, text(other.name))
show("closed send", other.send, "x")
show("closed receive", other.receive)
show("closed current_messages", lambda: other.current_messages)
show("closed block", lambda: other.block)
show("closed set block", setattr, other, "block", True)
show("closed notification", other.request_notification, None)
show("closed notification", other.request_notification, 10)

show("unlink", other.unlink)
show("unlink again", queue.unlink)
show("unlink by name", posix_ipc.unlink_message_queue, N)
queue.send("still there")
print(queue.receive())
queue.close()

for limits in [(0, 10), (-1, 10), (10, 0), (10, -1)]:
    kind(f"limits {limits}", MessageQueue, N, O_CREAT, 0o600, *limits)
show("limits too large to be any", MessageQueue, N, O_CREAT, 0o600, 2**63, 10)
for limits in [("1", 10), (10, 1.5)]:
    kind(f"limits {limits}", MessageQueue, N, O_CREAT, 0o600, *limits)
default = MessageQueue(N, O_CREAT)
print(
    default.max_messages == posix_ipc.QUEUE_MESSAGES_MAX_DEFAULT,
    default.max_message_size == posix_ipc.QUEUE_MESSAGE_SIZE_MAX_DEFAULT,
)
default.unlink()
unique = MessageQueue(None, O_CREX, max_messages=1)
print(unique.name[0], unique.max_messages)
unique.unlink()
