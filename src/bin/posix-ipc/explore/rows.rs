//! The operations of a run, as they are shown and kept.

use serde::{Deserialize, Serialize};
use wasmtime_posix_ipc::explore::{Fault, FaultKind, Operation, Run};

/// One operation: who did what on which object, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The number of the guest.
    pub guest: usize,
    /// Which choice let the guest go on, from 0.
    pub choice: usize,
    /// When it was, in nanoseconds of the guests' time.
    pub time: u64,
    pub call: String,
    pub object: String,
    pub arguments: String,
    pub result: String,
}

pub fn rows(run: &Run) -> Vec<Row> {
    let row = |operation: &Operation| Row {
        guest: operation.guest,
        choice: operation.choice,
        time: u64::try_from(operation.time.as_nanos()).unwrap_or(u64::MAX),
        call: operation.call.to_owned(),
        object: operation.object.clone(),
        arguments: operation.arguments(),
        result: operation.outcome.to_string(),
    };
    run.operations.iter().map(row).collect()
}

/// A fault, as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FaultRow {
    /// The number of the guest.
    guest: usize,
    /// Which of its operations it is, from 0.
    operation: usize,
    kind: FaultName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum FaultName {
    /// A guest ends at one of its operations, as by SIGKILL
    Kill,
    /// An operation fails: no room, not now, or the time is over, as POSIX lets it
    Errors,
}

impl FaultName {
    pub fn kind(self) -> FaultKind {
        match self {
            Self::Kill => FaultKind::Kill,
            Self::Errors => FaultKind::Error,
        }
    }
}

impl FaultRow {
    pub fn of(fault: &Fault) -> Self {
        Self {
            guest: fault.guest,
            operation: fault.operation,
            kind: match fault.kind {
                FaultKind::Kill => FaultName::Kill,
                FaultKind::Error => FaultName::Errors,
            },
        }
    }

    pub fn fault(&self) -> Fault {
        Fault {
            guest: self.guest,
            operation: self.operation,
            kind: self.kind.kind(),
        }
    }
}
