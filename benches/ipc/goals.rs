//! How many times as long one may take as another.

use crate::who::Who;

/// One takes at most so many times as long as another.
#[derive(Clone, Copy)]
pub struct Goal {
    pub who: Who,
    pub most: f64,
    pub of: Who,
}

const fn goal(who: Who, most: f64, of: Who) -> Goal {
    Goal { who, most, of }
}

use Who::{
    C, CCall, CMapping, Call, GoCall, JsCall, JsMapping, Mapping, Native, Python, PythonCall,
    PythonMapping,
};

/// Copies of much, by calls and in mappings.
const COPY: Goal = goal(Call, 1.0 / 0.9, Native);
const MAPPED_COPY: Goal = goal(Mapping, 1.0 / 0.85, Native);

/// A mapping read or written, in each language.
const SMALL: &[Goal] = &[
    goal(CMapping, 1.5, C),
    goal(PythonMapping, 2.0, Python),
    goal(JsMapping, 2.0, Python),
];
const LARGE: &[Goal] = &[
    COPY,
    MAPPED_COPY,
    goal(CMapping, 1.2, C),
    goal(PythonMapping, 1.2, Python),
    goal(JsMapping, 1.2, Python),
];

/// Those of each row that has some.
const GOALS: &[(&str, &[Goal])] = &[
    (
        "semaphore: release and try-acquire",
        &[
            goal(Mapping, 1.3, Native),
            goal(Call, 1.0, Python),
            goal(CCall, 30.0, C),
            goal(CMapping, 1.3, C),
            goal(GoCall, 40.0, C),
            goal(PythonCall, 1.3, Python),
            goal(PythonMapping, 0.8, Python),
            goal(JsCall, 1.0, Python),
            goal(JsMapping, 0.8, Python),
        ],
    ),
    (
        "queue: send and receive 64 B",
        &[
            goal(Call, 1.3, Native),
            goal(CCall, 1.3, C),
            goal(GoCall, 1.5, C),
            goal(PythonCall, 1.2, Python),
            goal(JsCall, 1.2, Python),
        ],
    ),
    ("queue: ten at once of 64 B", &[goal(Call, 1.1, Native)]),
    ("segment: read 64 B", SMALL),
    ("segment: write 64 B", SMALL),
    ("segment: read 64 KiB", LARGE),
    ("segment: write 64 KiB", LARGE),
    ("segment: read 1 MiB", &[COPY, MAPPED_COPY]),
    ("segment: write 1 MiB", &[COPY, MAPPED_COPY]),
    ("segment: read 16 MiB", &[COPY]),
    ("segment: write 16 MiB", &[COPY]),
    (
        "semaphores: round trip, one core",
        &[goal(Call, 1.5, Native), goal(Mapping, 1.5, Native)],
    ),
    (
        "semaphores: round trip, any core",
        &[goal(Call, 1.5, Native), goal(Mapping, 1.5, Native)],
    ),
    ("queues: round trip, one core", &[goal(Call, 1.5, Native)]),
    ("queues: round trip, any core", &[goal(Call, 1.5, Native)]),
];

/// The goals of a row.
pub fn of(row: &str) -> &'static [Goal] {
    let found = GOALS.iter().find(|(name, _)| *name == row);
    found.map_or(&[], |(_, goals)| goals)
}

/// The rows that have goals.
pub fn rows() -> impl Iterator<Item = &'static str> {
    GOALS.iter().map(|(name, _)| *name)
}
