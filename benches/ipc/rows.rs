//! What is compared.

use crate::goals;
use crate::guest::Guests;
use crate::native::World;
use crate::programs::Programs;
use crate::report::{Measured, Numbers};
use crate::who::Who;
use std::time::Duration;

/// One thing, done by each who can.
pub struct Row {
    pub name: String,
    size: usize,
    /// What it is called by this program and those in other languages.
    native: &'static str,
    /// What it is called by the guest in Rust.
    call: Option<&'static str>,
    mapping: Option<&'static str>,
    pinned: bool,
}

impl Row {
    fn new(name: impl Into<String>, what: &'static str) -> Self {
        Self {
            name: name.into(),
            size: 0,
            native: what,
            call: Some(what),
            mapping: None,
            pinned: false,
        }
    }

    fn call(self, what: Option<&'static str>) -> Self {
        Self { call: what, ..self }
    }

    fn mapping(self, what: &'static str) -> Self {
        Self {
            mapping: Some(what),
            ..self
        }
    }

    fn size(self, size: usize) -> Self {
        Self { size, ..self }
    }

    /// Everybody in turns.
    pub fn measure(
        self,
        world: &World,
        guests: &Guests,
        programs: &mut Programs,
        turn: Duration,
        rounds: usize,
    ) -> Measured {
        world.pin(self.pinned);
        let _contender = (self.native == "sem-contended").then(|| world.contend());
        let mut sample = |who: Who, count| {
            let taken = match who {
                Who::Native => Some(world.sample(self.native, count, self.size)),
                Who::Call => self
                    .call
                    .map(|what| guests.sample(false, what, count, self.size)),
                Who::Mapping => self
                    .mapping
                    .map(|what| guests.sample(true, what, count, self.size)),
                // The Rust guest can do it in other ways too, of which these know nothing.
                _ if self.call.is_some_and(|call| call.ends_with("-list")) => None,
                who if who.maps() && self.mapping.is_none() => None,
                who => programs.sample(who, self.native, count, self.size),
            };
            if self.native == "sem-release" {
                world.drain();
            }
            taken
        };
        let counts = Who::ALL.map(|who| {
            // As many as fill a turn; at first only as many as fill a tenth.
            let mut count = 10;
            loop {
                let taken = sample(who, count)?.max(Duration::from_nanos(1));
                let wanted = turn.as_secs_f64() / taken.as_secs_f64();
                if wanted < 10.0 || count > 1 << 28 {
                    return Some(((count as f64 * wanted) as u64).clamp(10, 1 << 28));
                }
                count *= (wanted / 2.0).min(50.0) as u64;
            }
        });
        let mut numbers = Who::ALL.map(Numbers::new);
        for _ in 0..rounds {
            for (numbers, count) in numbers.iter_mut().zip(counts) {
                if let Some(count) = count
                    && let Some(taken) = sample(numbers.who, count)
                {
                    numbers
                        .rounds
                        .push(taken.as_secs_f64() * 1e9 / count as f64);
                }
            }
        }
        world.pin(false);
        Measured {
            goals: goals::of(&self.name),
            name: self.name,
            bytes: self
                .native
                .starts_with("shm-")
                .then_some(self.size)
                .filter(|size| *size > 0),
            numbers: numbers
                .into_iter()
                .filter(|n| !n.rounds.is_empty())
                .collect(),
        }
    }
}

pub fn all() -> Vec<Row> {
    let mut rows = vec![
        Row::new("semaphore: release and try-acquire", "sem-pair").mapping("sem-pair-mapping"),
        Row::new("semaphore: release", "sem-release").mapping("sem-release-mapping"),
        Row::new("semaphore: as a lock, contended", "sem-contended")
            .mapping("sem-contended-mapping"),
        Row::new("word: atomic add", "atomic").mapping("atomic-mapping"),
    ];
    for size in [1, 64, 1 << 10, 8 << 10] {
        let name = format!("queue: send and receive {}", bytes(size));
        rows.push(Row::new(name, "mq").size(size));
    }
    rows.push(
        Row::new("queue: the same, received as a list, 64 B", "mq")
            .call(Some("mq-list"))
            .size(64),
    );
    for size in [1, 64, 1 << 10, 8 << 10] {
        let name = format!("queue: ten at once of {}", bytes(size));
        rows.push(Row::new(name, "mq-batch").size(size));
    }
    const SIZES: [usize; 6] = [64, 1 << 10, 8 << 10, 64 << 10, 1 << 20, 16 << 20];
    for size in SIZES {
        let name = format!("segment: read {}", bytes(size));
        let row = Row::new(name, "shm-read").call(Some("shm-read-into"));
        rows.push(row.mapping("mapping-read").size(size));
    }
    for size in SIZES {
        let name = format!("segment: read a list of {}", bytes(size));
        let row = Row::new(name, "shm-read").call(Some("shm-read-list"));
        rows.push(row.size(size));
    }
    for size in SIZES {
        let name = format!("segment: write {}", bytes(size));
        let row = Row::new(name, "shm-write").mapping("mapping-write");
        rows.push(row.size(size));
    }
    for (cores, pinned) in [("one core", true), ("any core", false)] {
        for row in [
            Row::new(format!("semaphores: round trip, {cores}"), "sem-ping-pong")
                .mapping("sem-ping-pong-mapping"),
            Row::new(format!("queues: round trip, {cores}"), "mq-ping-pong"),
        ] {
            rows.push(Row { pinned, ..row });
        }
    }
    for (kind, open, create) in [
        ("semaphore", "sem-open", "sem-create"),
        ("segment", "shm-open", "shm-create"),
        ("queue", "mq-open", "mq-create"),
    ] {
        rows.push(Row::new(format!("{kind}: open and close"), open));
        rows.push(Row::new(format!("{kind}: create and unlink"), create));
    }
    rows.push(
        Row::new("mapping: map and unmap 64 KiB", "map")
            .call(None)
            .mapping("map"),
    );
    for name in goals::rows() {
        assert!(rows.iter().any(|row| row.name == name), "no row {name}");
    }
    rows
}

/// A size in words.
fn bytes(size: usize) -> String {
    match size {
        0..1024 => format!("{size} B"),
        1024..1_048_576 => format!("{} KiB", size >> 10),
        _ => format!("{} MiB", size >> 20),
    }
}
