import posix_ipc

jobs = posix_ipc.MessageQueue(
    "/{{name}}.jobs", posix_ipc.O_CREAT, max_messages=4, max_message_size=64
)
jobs.send(b"hello from {{name}}", priority=3)
job, priority = jobs.receive()
print(f"{job.decode()} (priority {priority})")
