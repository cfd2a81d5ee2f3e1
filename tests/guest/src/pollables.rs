//! `probe poll SEMAPHORE QUEUE FULL`: for each line of standard input, a number of
//! milliseconds, polls everything at once and prints what is ready. The line `drop`
//! drops the handles that the pollables came from.

use posix_ipc_guest::{Access, Pollable, Queue, Semaphore, poll};

pub fn main(arguments: &[&str]) {
    let [semaphore, queue, full] = *arguments else {
        panic!("three names, not {arguments:?}");
    };
    let semaphore = Semaphore::open(semaphore).expect("a semaphore");
    let queue = Queue::open(queue, Access::Read).expect("a queue");
    let full = Queue::open(full, Access::Write).expect("a queue");
    let notification = queue.request_notification().expect("it is free");
    let pollables = [
        ("semaphore", semaphore.subscribe().expect("a pollable")),
        ("readable", queue.subscribe_readable().expect("a pollable")),
        ("writable", full.subscribe_writable().expect("a pollable")),
        ("notified", notification.subscribe().expect("a pollable")),
    ];
    let mut handles = Some((semaphore, queue, full, notification));
    println!("polling");
    for line in std::io::stdin().lines() {
        let line = line.expect("text");
        if line == "drop" {
            handles = None;
            println!("dropped");
            continue;
        }
        let clock = after(line.parse().expect("milliseconds"));
        let all: Vec<_> = pollables.iter().map(|(_, pollable)| pollable).collect();
        let all: Vec<_> = all.into_iter().chain([&clock]).collect();
        let ready = poll(&all).into_iter();
        let ready = ready.map(|index| pollables.get(index).map_or("clock", |(name, _)| name));
        println!("{}", ready.collect::<Vec<_>>().join(" "));
    }
    drop(handles);
}

/// Ready after some milliseconds.
fn after(milliseconds: u64) -> Pollable {
    let clock = wasip2::clocks::monotonic_clock::subscribe_duration(milliseconds * 1_000_000);
    // SAFETY: the handle is given up here, and is a pollable.
    unsafe { Pollable::from_handle(clock.take_handle()) }
}
