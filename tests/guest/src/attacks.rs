//! `probe attack HOW`: what no binding lets a guest do by mistake. Handles are numbers
//! for the machine code of a guest, and here they are taken for numbers.

use crate::bindings::posix::ipc::message_queue::{self, MessageParam, Queue, QueueLimits};
use crate::bindings::posix::ipc::semaphore::Semaphore;
use crate::bindings::posix::ipc::shared_memory::Segment;
use crate::bindings::posix::ipc::types::{Access, ErrorCode, OpenFlags};
use crate::interpreter::word;
use std::mem::forget;

pub fn main(arguments: &[&str]) {
    match *arguments {
        ["use-after-drop", name] => {
            let handle = open(name).take_handle();
            drop(semaphore(handle));
            println!("dropped");
            say(semaphore(handle).release());
        }
        ["double-drop", name] => {
            let handle = open(name).take_handle();
            drop(semaphore(handle));
            println!("dropped");
            drop(semaphore(handle));
            println!("dropped twice");
        }
        ["other-kind", name] => {
            let handle = segment(name).take_handle();
            println!("opened");
            say(semaphore(handle).release());
        }
        ["invented", number] => {
            println!("inventing");
            say(semaphore(self::number(number) as u32).release());
        }
        ["forget", name, count] => {
            let opened = count_until(number(count), || {
                Semaphore::open(name, OpenFlags::empty(), 0, 0).map(forget)
            });
            println!("{opened}");
        }
        ["forget-pollables", name, count] => {
            let semaphore = open(name);
            println!(
                "{}",
                count_until(number(count), || semaphore.subscribe().map(forget))
            );
            // It goes on.
            say(semaphore.release());
        }
        ["poll", name, pollables, entries] => poll(name, number(pollables), number(entries)),
        ["long-name", length] => {
            let name = "/".repeat(number(length));
            println!("asking");
            say(Semaphore::open(&name, OpenFlags::empty(), 0, 0).map(drop));
        }
        ["no-text", name] => {
            let bytes = [name.as_bytes(), &[0xff, 0xfe]].concat();
            println!("asking");
            // SAFETY: not as a string of this program. It is what is being tried.
            let name = unsafe { std::str::from_utf8_unchecked(&bytes) };
            say(Semaphore::open(name, OpenFlags::empty(), 0, 0).map(drop));
        }
        ["long-message", queue, length] => {
            let queue = self::queue(queue);
            let message = vec![0; number(length)];
            println!("sending");
            say(queue.send(&message, 0, None));
            say(queue.send(b"short", 0, Some(0)));
        }
        ["long-batch", queue, count, length] => long_batch(queue, number(count), number(length)),
        ["outlive", prefix, count] => outlive(prefix, number(count)),
        ["grow", most] => grow(number(most)),
        ["work", prefix, rounds] => work(prefix, number(rounds)),
        _ => panic!("unknown arguments: {arguments:?}"),
    }
}

fn open(name: &str) -> Semaphore {
    Semaphore::open(name, OpenFlags::empty(), 0, 0).expect("it exists")
}

fn segment(name: &str) -> Segment {
    Segment::open(name, OpenFlags::empty(), 0, None, Access::ReadWrite).expect("it exists")
}

fn queue(name: &str) -> Queue {
    Queue::open(name, OpenFlags::empty(), 0, Access::ReadWrite, None).expect("it exists")
}

fn semaphore(handle: u32) -> Semaphore {
    // SAFETY: it is none. The host is to find that out.
    unsafe { Semaphore::from_handle(handle) }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

fn say(outcome: Result<(), ErrorCode>) {
    match outcome {
        Ok(()) => println!("ok"),
        Err(code) => println!("error {}", word(&code)),
    }
}

/// Does it so many times or until the first error. Says how often, and the error.
fn count_until(most: usize, mut step: impl FnMut() -> Result<(), ErrorCode>) -> String {
    for done in 0..most {
        if let Err(code) = step() {
            return format!("{done}, then {}", word(&code));
        }
    }
    format!("{most}")
}

/// Polls a list in which every pollable is many times.
fn poll(name: &str, pollables: usize, entries: usize) {
    let semaphore = open(name);
    let pollables: Vec<_> = (0..pollables)
        .map(|_| semaphore.subscribe().expect("within the quota"))
        .collect();
    let list: Vec<_> = (0..entries)
        .map(|entry| &pollables[entry % pollables.len()])
        .collect();
    let ready = crate::bindings::wasi::io::poll::poll(&list);
    println!("{} ready", ready.len());
}

/// Sends a batch whose messages are all the same bytes of the guest's memory.
fn long_batch(queue: &str, count: usize, length: usize) {
    let queue = self::queue(queue);
    let payload = vec![b'x'; length];
    let message = || MessageParam {
        payload: &payload,
        priority: 0,
    };
    let messages: Vec<_> = (0..count).map(|_| message()).collect();
    println!("sending");
    match queue.send_batch(&messages, None) {
        Ok(sent) => println!("ok {sent}"),
        Err(code) => println!("error {}", word(&code)),
    }
}

/// Takes memory, a MiB at a time, until there is no more.
/// Makes queues, and keeps of each only a pollable.
fn outlive(prefix: &str, count: usize) {
    let limits = QueueLimits {
        max_messages: 1,
        max_message_size: 64,
    };
    let made = count_until(count, || {
        let queue = Queue::create_unique(prefix, 0o600, Some(limits))?;
        forget(queue.subscribe_readable()?);
        message_queue::unlink(&queue.name())
    });
    println!("{made}");
}

fn grow(most: usize) {
    const MEBIBYTE: usize = 1 << 20;
    let mut taken = 0;
    let mut all: Vec<Vec<u8>> = Vec::new();
    while taken < most {
        let mut next = Vec::new();
        if next.try_reserve_exact(MEBIBYTE).is_err() {
            break;
        }
        all.push(next);
        taken += 1;
    }
    println!("{taken} MiB");
}

/// What a guest does that wants nothing but to be left in peace. Says how often
/// something failed.
fn work(prefix: &str, rounds: usize) {
    let mut errors = 0;
    println!("working");
    for _ in 0..rounds {
        if let Err(code) = round(prefix) {
            println!("{}", word(&code));
            errors += 1;
        }
    }
    println!("{errors} errors in {rounds} rounds");
}

fn round(prefix: &str) -> Result<(), ErrorCode> {
    use crate::bindings::posix::ipc::message_queue::{self, QueueLimits};
    use crate::bindings::posix::ipc::{semaphore, shared_memory};
    let create = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    let name = format!("{prefix}work");
    let gate = Semaphore::open(&name, create, 0o600, 0)?;
    let ready = gate.subscribe()?;
    gate.release()?;
    ready.block();
    gate.acquire(Some(1_000_000_000))?;
    let frame = Segment::open(&name, create, 0o600, Some(64), Access::ReadWrite)?;
    frame.write(0, b"frame")?;
    assert_eq!(frame.read(0, 5)?, b"frame");
    let limits = QueueLimits {
        max_messages: 1,
        max_message_size: 8,
    };
    let jobs = Queue::open(&name, create, 0o600, Access::ReadWrite, Some(limits))?;
    jobs.send(b"job", 1, None)?;
    assert_eq!(jobs.receive(None)?.payload, b"job");
    semaphore::unlink(&name)?;
    shared_memory::unlink(&name)?;
    message_queue::unlink(&name)
}
