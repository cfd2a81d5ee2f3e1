import asyncio
import select
import selectors
import time

from posix_ipc import O_CREX, MessageQueue
from said import kind, name, show

one = MessageQueue(name("one"), O_CREX, max_messages=1)
two = MessageQueue(name("two"), O_CREX, max_messages=1)


def elapsed(function, *arguments):
    start = time.monotonic()
    function(*arguments)
    return round(time.monotonic() - start, 1)


print(select.select([one], [], [], 0), elapsed(select.select, [one], [], [], 0.2))
print(select.select([], [one, two.mqd], [], 5) == ([], [one, two.mqd], []))
one.send("x")
print(select.select([two, one], [one, two], [], 5) == ([one], [two], []))
show("negative", select.select, [one], [], [], -1)
kind("nothing with a file number", select.select, ["x"], [], [], 0)

poll = select.poll()
poll.register(one, select.POLLIN)
poll.register(two.fileno(), select.POLLIN | select.POLLOUT)
events = dict(poll.poll(1000))
print(events == {one.mqd: select.POLLIN, two.mqd: select.POLLOUT})
poll.modify(two, select.POLLIN)
poll.unregister(one)
print(poll.poll(0), elapsed(poll.poll, 100))
kind("unknown", poll.unregister, one)

with selectors.DefaultSelector() as selector:
    selector.register(one, selectors.EVENT_READ, "first")
    selector.register(two, selectors.EVENT_READ, "second")
    print([(key.data, mask) for key, mask in selector.select(5)])
    one.receive()
    print(selector.select(0), elapsed(selector.select, 0.1))
    two.send("y")
    print([(key.data, mask) for key, mask in selector.select()])
    selector.unregister(two)
    print(selector.select(0))
two.receive()


async def conversation():
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def readable():
        message, _ = one.receive(0)
        if message == b"end":
            loop.remove_reader(one.mqd)
            done.set_result("ended")
        else:
            print("heard", message)

    async def speak():
        for message in ("first", "second", "end"):
            await asyncio.sleep(0.01)
            one.send(message)

    loop.add_reader(one.mqd, readable)
    results = await asyncio.gather(done, speak(), asyncio.sleep(0.02, "slept"))
    print(results)


asyncio.run(conversation())
one.unlink()
two.unlink()
