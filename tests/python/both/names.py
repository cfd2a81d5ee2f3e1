import posix_ipc
from posix_ipc import O_CREX, MessageQueue, Semaphore, SharedMemory
from said import PREFIX, name, show, text

KINDS = {
    Semaphore: posix_ipc.unlink_semaphore,
    SharedMemory: posix_ipc.unlink_shared_memory,
    MessageQueue: posix_ipc.unlink_message_queue,
}


def clean_up(kind, unlink, spelling):
    made = show(f"{kind.__name__} {text(spelling)}", kind, spelling, O_CREX)
    if made is not None:
        print(text(made.name), text(str(made)))
        made.unlink()


for kind, unlink in KINDS.items():
    stem = name("name")
    for spelling in (
        stem,
        stem.encode(),
        stem + " with spaces\n and é",
        name("/inner"),
        name("x/../y"),
        "",
        "/" + "x" * 256 if kind is not Semaphore else "/" + "x" * 252,
    ):
        clean_up(kind, unlink, spelling)
    for spelling in (1, 1.5, bytearray(b"/x"), memoryview(b"/x"), ["x"]):
        show(f"{kind.__name__} {type(spelling).__name__}", kind, spelling, O_CREX)
    for spelling in (stem, name("\0")):
        show(f"unlink {text(spelling)}", unlink, spelling)
    for spelling in (b"/x", None, 1):
        try:
            unlink(spelling)
        except TypeError as error:
            print("unlink", type(spelling).__name__, str(error).partition("argument")[2])
    try:
        unlink(name="/x")
    except TypeError:
        print("unlink by keyword: TypeError")

# One object under every number of slashes, for two of the kinds.
for kind, unlink in list(KINDS.items())[:2]:
    first = kind(PREFIX[1:] + ".alias", O_CREX)
    for slashes in ("/", "//", "////"):
        again = kind(slashes + PREFIX[1:] + ".alias")
        print(kind.__name__, slashes, text(again.name))
        show("exclusively", kind, slashes + PREFIX[1:] + ".alias", O_CREX)
    show("unlink", unlink, "///" + PREFIX[1:] + ".alias")
    show("gone", kind, PREFIX + ".alias")
for spelling in (PREFIX[1:] + ".alias", "/" + PREFIX + ".alias", "/"):
    show(f"queue {text(spelling)}", MessageQueue, spelling, O_CREX)
    show(f"unlink queue {text(spelling)}", posix_ipc.unlink_message_queue, spelling)
