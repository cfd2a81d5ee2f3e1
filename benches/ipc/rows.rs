//! What is compared.

use crate::guest::Guests;
use crate::native::World;
use crate::python::{Python, Pythons};
use crate::report::{Goal, Measured, Numbers};
use std::time::Duration;

/// One thing, done by each who can.
pub struct Row {
    pub name: String,
    size: usize,
    native: &'static str,
    python: Option<&'static str>,
    call: Option<&'static str>,
    mapping: Option<&'static str>,
    pinned: bool,
    goals: Vec<Goal>,
}

/// By whom something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Native,
    Python,
    /// A guest that calls the host.
    Call,
    /// A guest with a mapping.
    Mapping,
    /// A guest in Python that calls the host.
    PythonCall,
    /// A guest in Python with a mapping.
    PythonMapping,
}

impl Who {
    pub const ALL: [Self; 6] = [
        Self::Native,
        Self::Python,
        Self::Call,
        Self::Mapping,
        Self::PythonCall,
        Self::PythonMapping,
    ];

    /// With whom this one is compared.
    pub fn peer(self) -> Self {
        match self {
            Self::PythonCall | Self::PythonMapping => Self::Python,
            _ => Self::Native,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Python => "CPython",
            Self::Call => "guest, calls",
            Self::Mapping => "guest, mapping",
            Self::PythonCall => "Python guest, calls",
            Self::PythonMapping => "Python guest, mapping",
        }
    }
}

impl Row {
    fn new(name: impl Into<String>, what: &'static str) -> Self {
        Self {
            name: name.into(),
            size: 0,
            native: what,
            python: None,
            call: Some(what),
            mapping: None,
            pinned: false,
            goals: Vec::new(),
        }
    }

    fn python(self) -> Self {
        Self {
            python: Some(self.native),
            ..self
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

    fn goal(mut self, who: Who, most: f64, of: Who) -> Self {
        self.goals.push(Goal { who, most, of });
        self
    }

    /// Everybody in turns.
    pub fn measure(
        self,
        world: &World,
        guests: &Guests,
        pythons: &mut Pythons,
        turn: Duration,
        rounds: usize,
    ) -> Measured {
        world.pin(self.pinned);
        let _contender = (self.native == "sem-contended").then(|| world.contend());
        // What a script does with a mapping it does with the same words.
        let maps = self.mapping.and(self.python);
        let by_python = |what: Option<&str>, python: &mut Option<Python>, count| {
            Some(python.as_mut()?.sample(what?, count, self.size))
        };
        let mut sample = |who, count| {
            let taken = match who {
                Who::Native => Some(world.sample(self.native, count, self.size)),
                Who::Python => by_python(self.python, &mut pythons.native, count),
                Who::PythonCall => by_python(self.python, &mut pythons.guest, count),
                Who::PythonMapping => by_python(maps, &mut pythons.mapping, count),
                Who::Call => self
                    .call
                    .map(|what| guests.sample(false, what, count, self.size)),
                Who::Mapping => self
                    .mapping
                    .map(|what| guests.sample(true, what, count, self.size)),
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
            goals: self.goals,
        }
    }
}

pub fn all() -> Vec<Row> {
    use Who::{Call, Mapping, Native, Python, PythonCall, PythonMapping};
    let mut rows = vec![
        Row::new("semaphore: release and try-acquire", "sem-pair")
            .python()
            .mapping("sem-pair-mapping")
            .goal(Mapping, 1.3, Native)
            .goal(Call, 1.0, Python)
            .goal(PythonCall, 1.3, Python)
            .goal(PythonMapping, 0.8, Python),
        Row::new("semaphore: release", "sem-release")
            .python()
            .mapping("sem-release-mapping"),
        Row::new("semaphore: as a lock, contended", "sem-contended")
            .mapping("sem-contended-mapping"),
        Row::new("word: atomic add", "atomic").mapping("atomic-mapping"),
    ];
    for size in [1, 64, 1 << 10, 8 << 10] {
        let mut row = Row::new(format!("queue: send and receive {}", bytes(size)), "mq")
            .python()
            .size(size);
        if size == 64 {
            row = row.goal(Call, 1.3, Native).goal(PythonCall, 1.2, Python);
        }
        rows.push(row);
    }
    rows.push(
        Row::new("queue: the same, received as a list, 64 B", "mq")
            .call(Some("mq-list"))
            .size(64),
    );
    for size in [1, 64, 1 << 10, 8 << 10] {
        let mut row =
            Row::new(format!("queue: ten at once of {}", bytes(size)), "mq-batch").size(size);
        if size == 64 {
            row = row.goal(Call, 1.1, Native);
        }
        rows.push(row);
    }
    const SIZES: [usize; 6] = [64, 1 << 10, 8 << 10, 64 << 10, 1 << 20, 16 << 20];
    for size in SIZES {
        let mut row = Row::new(format!("segment: read {}", bytes(size)), "shm-read")
            .python()
            .call(Some("shm-read-into"))
            .mapping("mapping-read")
            .size(size);
        match size {
            64 => row = row.goal(PythonMapping, 2.0, Python),
            0x10000 => row = row.goal(PythonMapping, 1.2, Python),
            _ => {}
        }
        if size >= 64 << 10 {
            row = row.goal(Call, 1.0 / 0.9, Native);
        }
        if (64 << 10..=1 << 20).contains(&size) {
            row = row.goal(Mapping, 1.0 / 0.85, Native);
        }
        rows.push(row);
    }
    for size in SIZES {
        let row = Row::new(
            format!("segment: read a list of {}", bytes(size)),
            "shm-read",
        );
        rows.push(row.size(size));
    }
    for size in SIZES {
        let mut row = Row::new(format!("segment: write {}", bytes(size)), "shm-write")
            .python()
            .mapping("mapping-write")
            .size(size);
        match size {
            64 => row = row.goal(PythonMapping, 2.0, Python),
            0x10000 => row = row.goal(PythonMapping, 1.2, Python),
            _ => {}
        }
        if size >= 64 << 10 {
            row = row.goal(Call, 1.0 / 0.9, Native);
        }
        if (64 << 10..=1 << 20).contains(&size) {
            row = row.goal(Mapping, 1.0 / 0.85, Native);
        }
        rows.push(row);
    }
    for (cores, pinned) in [("one core", true), ("any core", false)] {
        let mut row = Row::new(format!("semaphores: round trip, {cores}"), "sem-ping-pong")
            .mapping("sem-ping-pong-mapping")
            .goal(Call, 1.5, Native)
            .goal(Mapping, 1.5, Native);
        row.pinned = pinned;
        rows.push(row);
        let mut row = Row::new(format!("queues: round trip, {cores}"), "mq-ping-pong")
            .goal(Call, 1.5, Native);
        row.pinned = pinned;
        rows.push(row);
    }
    for (kind, open, create) in [
        ("semaphore", "sem-open", "sem-create"),
        ("segment", "shm-open", "shm-create"),
        ("queue", "mq-open", "mq-create"),
    ] {
        rows.push(Row::new(format!("{kind}: open and close"), open).python());
        rows.push(Row::new(format!("{kind}: create and unlink"), create).python());
    }
    rows.push(
        Row::new("mapping: map and unmap 64 KiB", "map")
            .call(None)
            .mapping("map"),
    );
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
