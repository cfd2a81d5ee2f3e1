use posix_ipc_guest::{Queue, QueueLimits};

fn main() -> posix_ipc_guest::Result<()> {
    let limits = QueueLimits {
        max_messages: 4,
        max_message_size: 64,
    };
    let jobs = Queue::options()
        .create(true)
        .limits(limits)
        .open("/{{name}}.jobs")?;
    jobs.send(b"hello from {{name}}", 3)?;
    let job = jobs.receive()?;
    let text = String::from_utf8_lossy(&job.payload);
    println!("{text} (priority {})", job.priority);
    Ok(())
}
