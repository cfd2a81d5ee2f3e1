//! Counts its runs in shared memory, under a lock that native programs can take as well.
//!
//! ```sh
//! posix-ipc run --sem /runs,create,keep --shm /runs,create,keep counter.wasm
//! ```

use posix_ipc_guest::{Result, Segment, Semaphore};

fn main() -> Result<()> {
    let lock = Semaphore::options().create(true).value(1).open("/runs")?;
    let runs = Segment::options().create(true).size(8).open("/runs")?;

    let guard = lock.lock()?;
    let mut count = [0; 8];
    runs.read_exact(0, &mut count)?;
    let count = u64::from_le_bytes(count) + 1;
    runs.write(0, &count.to_le_bytes())?;
    guard.release()?;

    println!("run {count}");
    Ok(())
}
