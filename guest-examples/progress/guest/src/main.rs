//! A guest that tells how far it has got, in shared memory of the program that watches it.
//!
//!     progress NAME STEPS

use posix_ipc_guest::{Access, Segment};
use std::error::Error;
use std::thread::sleep;
use std::time::Duration;

/// Where the two words of the watcher's structure are.
const TOTAL: u64 = 0;
const DONE: u64 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(steps)) = (arguments.next(), arguments.next()) else {
        return Err("usage: progress NAME STEPS".into());
    };
    let steps: u32 = steps.parse()?;

    let progress = Segment::open(&name, Access::ReadWrite)?;
    progress.u32(TOTAL).store(steps)?;
    for _ in 0..steps {
        sleep(Duration::from_millis(20)); // The work.
        // Atomic: others may count on the same word.
        progress.u32(DONE).fetch_add(1)?;
    }
    println!("{steps} steps done");
    Ok(())
}
