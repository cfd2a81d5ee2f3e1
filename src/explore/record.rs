//! What the guests of a run do: operation after operation, in the order in which they are
//! done, with results and faults.

use super::strategy::{Fault, FaultKind};
use crate::ctx::{Call, Watch, WatchedOperation};
use crate::error::{Error, ErrorCode};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// One operation of a guest on an object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// The number of the guest.
    pub guest: usize,
    /// The choice of the schedule by which the guest went on, from 0.
    pub choice: usize,
    /// When it was, in the time of the guests.
    pub time: Duration,
    /// The call, such as `acquire`.
    pub call: &'static str,
    /// Those of its arguments that are numbers, with their names.
    pub arguments: Vec<(&'static str, u64)>,
    /// The object by the guest's name for it, such as `sem:/gate`.
    pub object: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It was done. The number is the result, if that is one: a value that was read, or
    /// the bytes of a message.
    Done(Option<u64>),
    /// The guest has to wait. The next operation of the guest is the end of the wait.
    Waits,
    /// It failed.
    Failed(ErrorCode),
    /// It was not done: a fault made it fail.
    Refused(ErrorCode),
    /// It was not done: a fault ended the guest.
    Killed,
}

impl Operation {
    /// The arguments as a text, as in `at=0 bytes=4`.
    pub fn arguments(&self) -> String {
        let arguments = self.arguments.iter();
        let arguments = arguments.map(|(name, value)| format!("{name}={value}"));
        arguments.collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(None) => f.write_str("ok"),
            Self::Done(Some(number)) => number.fmt(f),
            Self::Waits => f.write_str("waits"),
            Self::Failed(code) => f.write_str(code.errno()),
            Self::Refused(code) => write!(f, "{} (fault)", code.errno()),
            Self::Killed => f.write_str("killed (fault)"),
        }
    }
}

/// A guest that a fault has ended.
#[derive(Debug)]
pub(super) struct Killed;

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("killed by a fault")
    }
}

impl std::error::Error for Killed {}

/// What the guests of a run have done so far.
#[derive(Clone)]
pub(super) struct Record(Arc<Mutex<State>>);

struct State {
    start: Instant,
    choice: usize,
    operations: Vec<Operation>,
    faults: Vec<Fault>,
    guests: Vec<Progress>,
}

#[derive(Default)]
struct Progress {
    /// How many operations the guest has done, waited for, or was refused.
    operations: usize,
    /// Whether it is in a call that it repeats in another way if it fails.
    tried: bool,
    /// The fault of its next operation.
    armed: Option<FaultKind>,
    /// Whether the fault is for the repetition of a call that was tried.
    repeats: bool,
}

impl Record {
    pub(super) fn new(start: Instant, guests: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            start,
            choice: 0,
            operations: Vec::new(),
            faults: Vec::new(),
            guests: (0..guests).map(|_| Progress::default()).collect(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The watcher of a guest.
    pub(super) fn watch(&self, guest: usize) -> Arc<dyn Watch> {
        Arc::new(OfGuest {
            record: self.clone(),
            guest,
        })
    }

    /// The turn of a guest begins. `choose` may give a fault to its next operation, of
    /// which the number is passed, and how many faults there were.
    pub(super) fn turn(
        &self,
        choice: usize,
        guest: usize,
        choose: impl FnOnce(usize, usize) -> Option<FaultKind>,
    ) {
        let mut state = self.state();
        state.choice = choice;
        let faults = state.faults.len() + state.guests.iter().filter(|guest| guest.repeats).count();
        let progress = &mut state.guests[guest];
        if !progress.repeats {
            progress.armed = choose(progress.operations, faults);
        }
    }

    /// What was done, and the faults.
    pub(super) fn take(&self) -> (Vec<Operation>, Vec<Fault>) {
        let mut state = self.state();
        (
            std::mem::take(&mut state.operations),
            std::mem::take(&mut state.faults),
        )
    }
}

impl State {
    fn add(&mut self, guest: usize, done: &WatchedOperation<'_>, outcome: Outcome) {
        self.guests[guest].operations += 1;
        self.operations.push(Operation {
            guest,
            choice: self.choice,
            time: self.start.elapsed(),
            call: done.call.name,
            arguments: done.call.arguments.iter().flatten().copied().collect(),
            object: format!("{}:{}", done.kind, done.name),
            outcome,
        });
    }
}

struct OfGuest {
    record: Record,
    guest: usize,
}

impl Watch for OfGuest {
    fn begins(&self, operation: &WatchedOperation<'_>) -> Result<(), Error> {
        let mut state = self.record.state();
        let progress = &mut state.guests[self.guest];
        let Some(kind) = progress.armed else {
            return Ok(());
        };
        if progress.tried {
            progress.repeats = true;
            return Err(ErrorCode::Busy.into());
        }
        progress.armed = None;
        progress.repeats = false;
        let (outcome, error) = match kind {
            FaultKind::Kill => (Outcome::Killed, Error::Trap(wasmtime::Error::new(Killed))),
            FaultKind::Error => match refusal(&operation.call) {
                None => return Ok(()),
                Some(code) => (Outcome::Refused(code.clone()), Error::Code(code)),
            },
        };
        let fault = Fault {
            guest: self.guest,
            operation: progress.operations,
            kind,
        };
        state.faults.push(fault);
        state.add(self.guest, operation, outcome);
        Err(error)
    }

    fn waits(&self, operation: &WatchedOperation<'_>) {
        let mut state = self.record.state();
        state.add(self.guest, operation, Outcome::Waits);
    }

    fn ends(&self, operation: &WatchedOperation<'_>, result: Result<Option<u64>, &Error>) {
        let mut state = self.record.state();
        let outcome = match result {
            Ok(number) => Outcome::Done(number),
            Err(_) if state.guests[self.guest].tried => return,
            Err(Error::Code(code)) => Outcome::Failed(code.clone()),
            Err(Error::Trap(_)) => return,
        };
        // The operation that the fault was for is over.
        state.guests[self.guest].armed = None;
        state.add(self.guest, operation, outcome);
    }

    fn is_tried(&self, tried: bool) {
        self.record.state().guests[self.guest].tried = tried;
    }
}

/// What POSIX lets a call fail with though the program is right. None if nothing.
fn refusal(call: &Call) -> Option<ErrorCode> {
    match (call.name, call.wait) {
        // ENOSPC, EMFILE or ENFILE: all are told to guests as one.
        ("open" | "open-or-create" | "create" | "create-unique" | "resize", _) => {
            Some(ErrorCode::NoSpace)
        }
        (_, Some(Some(0))) => Some(ErrorCode::Busy),
        (_, Some(Some(_))) => Some(ErrorCode::TimedOut),
        _ => None,
    }
}
