import signal
import time

from posix_ipc import O_CREX, USER_SIGNAL_MIN, MessageQueue
from said import name, show

queue = MessageQueue(name("notify"), O_CREX)
heard = []
signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number == signal.SIGUSR1))


def settle(heard_in_all=None):
    """Natively a callback has a thread of its own; nothing has to be waited for."""
    deadline = time.monotonic() + (0.05 if heard_in_all is None else 10)
    while time.monotonic() < deadline and len(heard) != heard_in_all:
        time.sleep(0.002)


def tell(parameter):
    heard.append(parameter)


queue.request_notification(signal.SIGUSR1)
queue.send("first")
print(heard, queue.receive())
queue.send("second")
print("once only", heard, queue.receive())

queue.request_notification((tell, {"any": "thing"}))
queue.send("third")
settle(2)
print(heard[1:])
queue.send("fourth")
settle()
print("once only", len(heard))
queue.receive()
queue.request_notification((tell, "not empty"))
queue.send("fifth")
settle()
print("a queue that was not empty", len(heard))
queue.receive()
queue.receive()
queue.send("sixth")
settle(3)
print("but after that", heard[2:])
queue.receive()

queue.request_notification(signal.SIGUSR1)
queue.request_notification(None)
queue.send("seventh")
settle()
print("taken back", len(heard), queue.receive())
queue.request_notification()
queue.request_notification(signal.SIGUSR1)
queue.request_notification((tell, "replaced"))
queue.send("eighth")
settle(4)
print(heard[3:], queue.receive())
queue.request_notification(0)
queue.send("ninth")
settle()
print("signal 0", len(heard), queue.receive())
queue.request_notification(USER_SIGNAL_MIN)
queue.request_notification(None)


def again(count):
    if count:
        queue.request_notification((again, count - 1))
    heard.append(count)


del heard[:]
queue.request_notification((again, 2))
for turn in range(3):
    queue.send("x")
    settle(turn + 1)
    queue.receive()
queue.send("x")
settle()
queue.receive()
print("asked for again", heard)

second = MessageQueue(queue.name)
queue.request_notification((tell, "first handle"))
second.request_notification((tell, "second handle"))
queue.send("x")
settle(4)
print("one in a process", heard[3:], queue.receive())
queue.request_notification((tell, "cancelled by close"))
queue.close()
second.send("x")
settle()
print("closed", heard[4:], second.receive())

for wrong in ("x", 1.5, (tell,), (tell, 1, 2), ("not callable", 1), [tell, 1]):
    show(f"wrong {type(wrong).__name__}", second.request_notification, wrong)
for number in (-1, 65, 1000):
    show(f"signal {number}", second.request_notification, number)
show("signal 2**63", second.request_notification, 2**63)
second.unlink()
