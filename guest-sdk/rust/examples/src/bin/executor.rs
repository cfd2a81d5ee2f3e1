//! The futures in somebody else's executor, which is run until nothing goes on, and then waits.
//!
//! ```sh
//! posix-ipc run --private executor.wasm
//! ```

use futures_executor::LocalPool;
use futures_util::task::LocalSpawnExt;
use posix_ipc_guest::{Result, Semaphore, future};
use std::rc::Rc;

fn main() -> Result<()> {
    let (ping, pong) = (
        Rc::new(Semaphore::create_new("/ping", 1)?),
        Rc::new(Semaphore::create_new("/pong", 0)?),
    );
    let mut pool = LocalPool::new();
    for (name, mine, other) in [("ping", &ping, &pong), ("pong", &pong, &ping)] {
        let (mine, other) = (mine.clone(), other.clone());
        let turns = async move {
            for turn in 1..=3 {
                mine.acquire_async().await.expect("it is open");
                println!("{name} {turn}");
                other.release().expect("it is far from its maximum");
            }
        };
        pool.spawner()
            .spawn_local(turns)
            .expect("the pool is there");
    }
    loop {
        pool.run_until_stalled();
        if !future::wait() {
            return Ok(());
        }
    }
}
