//! Tasks that wait for each other in one thread, run by the crate's own executor.
//!
//! ```sh
//! posix-ipc run --private tasks.wasm
//! ```

use futures_util::future::try_join3;
use posix_ipc_guest::{Error, Pollable, Queue, QueueLimits, Result, Semaphore, future};
use std::time::Duration;

const JOBS: u32 = 5;

fn main() -> Result<()> {
    // Full with one message: whoever sends waits for who receives.
    let limits = QueueLimits {
        max_messages: 1,
        max_message_size: 16,
    };
    let jobs = Queue::create_new("/jobs", limits)?;
    let done = Semaphore::create_new("/done", 0)?;

    let send = async {
        for number in 0..JOBS {
            jobs.send_async(&number.to_le_bytes(), 0).await?;
        }
        Ok::<_, Error>(())
    };
    let work = async {
        for _ in 0..JOBS {
            let job = jobs.receive_async().await?;
            Pollable::after(Duration::from_millis(1)).await;
            println!("job {}", job.payload[0]);
            done.release()?;
        }
        Ok::<_, Error>(())
    };
    let wait = async {
        for _ in 0..JOBS {
            done.acquire_async().await?;
        }
        let more = future::timeout(Duration::from_millis(10), done.acquire_async()).await;
        println!("all done, and more: {}", more.is_some());
        Ok::<_, Error>(())
    };
    future::block_on(try_join3(send, work, wait))?;
    Ok(())
}
