//! Waits for messages and for a semaphore at the same time, for at most so many milliseconds
//! at a time.
//!
//! ```sh
//! posix-ipc run --mq /orders,recv --sem /stop,wait either.wasm 10000
//! ```

use posix_ipc_guest::{Access, Queue, Result, Semaphore, poll_timeout};
use std::time::Duration;

fn main() -> Result<()> {
    let patience = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let patience = Duration::from_millis(patience.unwrap_or(10_000));
    let orders = Queue::open("/orders", Access::Read)?;
    let stop = Semaphore::open("/stop")?;
    let (order, stopped) = (orders.subscribe_readable()?, stop.subscribe()?);
    loop {
        let ready = poll_timeout(&[&order, &stopped], patience);
        if ready.is_empty() {
            println!("nothing for {patience:?}");
            return Ok(());
        }
        // To be ready takes nothing, and somebody else may be faster.
        while let Some(message) = orders.try_receive()? {
            println!("order: {}", String::from_utf8_lossy(&message.payload));
        }
        if stop.try_acquire()? {
            println!("stopped");
            return Ok(());
        }
    }
}
