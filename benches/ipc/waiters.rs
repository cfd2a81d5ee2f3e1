//! A thousand guests that wait in one process, and one more that works.

use crate::facts::{median, resident};
use crate::guest::Guests;
use crate::report::Fact;

const WAITING: usize = 1000;

pub fn all(guests: &Guests, facts: &mut Vec<Fact>) {
    for (what, name) in [
        ("wait-shared", "one semaphore"),
        ("wait-own", "a semaphore each"),
    ] {
        let alone = throughput(guests);
        let (before, threads_before) = (resident(), threads());
        let waiting = guests.wait(what, WAITING);
        let (after, threads_after) = (resident(), threads());
        let beside = throughput(guests);
        let name = |text: &str| format!("waiting: {text}, {WAITING} guests at {name}");
        facts.push(
            Fact::new(
                name("throughput of one more"),
                beside / alone,
                "of its own alone",
            )
            .at_least(0.8),
        );
        let more = (threads_after - threads_before).max(0.0);
        facts.push(Fact::new(name("threads for them"), more, "threads"));
        let memory = (after - before) / WAITING as f64;
        facts.push(Fact::new(name("memory of one"), memory, "KiB"));
        guests.end(waiting);
    }
}

/// Queue messages in a second.
fn throughput(guests: &Guests) -> f64 {
    const COUNT: u64 = 20_000;
    let sample = || COUNT as f64 / guests.sample(false, "mq", COUNT, 64).as_secs_f64();
    median((0..7).map(|_| sample()).collect())
}

fn threads() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    line.and_then(|number| number.trim().parse().ok())
        .expect("a number")
}
