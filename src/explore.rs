//! A laboratory for IPC: runs guests together under a scheduler that decides who goes on,
//! again and again, until a schedule is found under which they fail.
//!
//! All guests of a [`Lab`] are on one thread and in one namespace of their own. Their
//! objects are real. Only one guest goes on at a time, until it has called the host for
//! something that others can notice; then a [`Strategy`] chooses who is next. Waits do
//! not block: a guest that waits is chosen again when its wait can end. Time passes only
//! when nobody can run. So a run depends on the choices alone, and a [`Schedule`] repeats
//! it. What they did is in the [`Run`], operation after operation.
//!
//! What is explored is the order of calls to the host, and with [`Lab::preempt`] of
//! instructions between them. Weak orders of memory are not explored: guests never run at
//! the same time.

mod gate;
mod lab;
mod record;
mod scheduler;
mod strategy;

pub use lab::{Configure, Failure, Lab, Run};
pub use record::{Operation, Outcome};
pub use strategy::{
    Exhaustive, Fault, FaultKind, Faulty, Pct, RandomWalk, Replay, Schedule, Strategy, simpler,
    switches,
};
