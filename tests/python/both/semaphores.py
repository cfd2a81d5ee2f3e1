import posix_ipc
from posix_ipc import O_CREAT, O_CREX, O_EXCL, Semaphore
from said import kind, name, show, text

N = name("sem")

show("missing", Semaphore, N)
show("excl alone", Semaphore, N, O_EXCL)
show("none", Semaphore, None)
sem = Semaphore(N, O_CREX, 0o640, 3)
print(text(str(sem)), text(sem), text(sem.name), oct(sem.mode), sem.value)
show("again", Semaphore, N, O_CREX)
show("open or create", lambda: Semaphore(N, O_CREAT, initial_value=77).value)
other = Semaphore(N, mode=0o777)
print(oct(other.mode), other == sem, other == other, len({sem, other}))

show("acquire", sem.acquire)
show("acquire 0", sem.acquire, 0)
show("acquire False", sem.acquire, False)
print(other.value)
show("busy 0", sem.acquire, 0)
show("busy -0.0", sem.acquire, -0.0)
show("busy after a while", sem.acquire, 0.05)
show("busy after an integer", sem.acquire, timeout=0)
for timeout in (-1, -0.5, "1", b"1", [], 1j, 2**63):
    show(f"timeout {timeout!r}", sem.acquire, timeout)
show("release", other.release)
print(sem.value)

with sem as entered:
    print(entered is sem, sem.value)
print(sem.value)
try:
    with sem:
        raise KeyError("passed on")
except KeyError as error:
    print("KeyError", error, sem.value)

kind("set a name", setattr, sem, "name", "/other")
kind("set a value", setattr, sem, "value", 1)
kind("set an attribute", setattr, sem, "fresh", 1)

show("close", other.close)
for method in ("acquire", "release", "close", "__enter__"):
    show(f"closed {method}", getattr(other, method))
show("closed exit", other.__exit__, None, None, None)
show("closed value", lambda: other.value)
print(text(other.name), oct(other.mode), text(other))
print("the first goes on", sem.value)

show("unlink", sem.unlink)
show("unlink again", sem.unlink)
show("unlink by name", posix_ipc.unlink_semaphore, N)
show("unlinked, still there", lambda: (sem.release(), sem.value))
fresh = Semaphore(N, O_CREAT, initial_value=1)
print("another one", fresh.value, sem.value)
show("unlink by name", posix_ipc.unlink_semaphore, N)
fresh.close()
sem.close()

unique = Semaphore(None, O_CREX, initial_value=5)
print(unique.name[0], unique.name.count("/"), unique.value)
unique.unlink()
unique.close()

limit = Semaphore(N, O_CREX, initial_value=posix_ipc.SEMAPHORE_VALUE_MAX)
show("overflow", limit.release)
limit.unlink()

for arguments in [(), (N, 0, 0, 0, 0)]:
    try:
        Semaphore(*arguments)
    except TypeError:
        print(len(arguments), "arguments: TypeError")
for argument in ("flags", "mode", "initial_value"):
    for value in ("1", 1.5, None):
        try:
            Semaphore(N, **{"flags": O_CREAT, argument: value})
        except TypeError:
            print(argument, repr(value), "TypeError")
for value in (-1, 2**31, 2**32 - 1):
    try:
        Semaphore(N, O_CREAT, initial_value=value)
    except ValueError:
        print("initial_value", value, "ValueError")
for flags in (2**31, -(2**31) - 1):
    show(f"flags {flags}", Semaphore, N, flags)
