//! `posix-ipc mq`, `sem` and `shm`: the objects of the machine for shell scripts.

pub mod mq;
pub mod sem;
pub mod shm;

use crate::output;
use anyhow::{Result, anyhow};
use clap::ValueEnum;
use std::io::{self, ErrorKind};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use wasmtime_posix_ipc::grant::{Kind, Name};

/// As `run --timeout` and `timeout(1)` have it.
const TIMED_OUT: u8 = 124;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// What it holds, and nothing else
    #[default]
    Raw,
    /// An object of JSON on one line
    Json,
}

fn semaphore(text: &str) -> Result<Name, String> {
    name(Kind::Semaphore, text)
}

fn shared_memory(text: &str) -> Result<Name, String> {
    name(Kind::SharedMemory, text)
}

fn message_queue(text: &str) -> Result<Name, String> {
    name(Kind::MessageQueue, text)
}

fn name(kind: Kind, text: &str) -> Result<Name, String> {
    Name::new(kind, text).map_err(|error| error.to_string())
}

/// Permission bits as `chmod` takes them: `600`.
fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok();
    mode.filter(|mode| *mode <= 0o777)
        .ok_or_else(|| "write three octal digits, as in 600 or 660".into())
}

/// What an operation on an object has come to, in the words of the command.
fn failed(doing: &str, name: &Name, error: &io::Error) -> anyhow::Error {
    let object = format!("{}:{}", name.kind(), name.as_str().escape_debug());
    let why = match error.kind() {
        ErrorKind::NotFound => "it does not exist; `posix-ipc ls` shows what does".into(),
        ErrorKind::AlreadyExists => "it exists".into(),
        ErrorKind::PermissionDenied => {
            "permission denied; `posix-ipc ls` shows its owner and mode".into()
        }
        ErrorKind::WouldBlock => "another program has leased it; try again".into(),
        _ => error.to_string(),
    };
    anyhow!("{object} cannot be {doing}: {why}")
}

/// Says that the time is over.
fn timed_out(name: &Name, what: &str, limit: Duration) -> ExitCode {
    output::tell(&format!(
        "posix-ipc: {}:{}: {what} within {limit:?} (--timeout)\n",
        name.kind(),
        name.as_str().escape_debug()
    ));
    ExitCode::from(TIMED_OUT)
}

/// The end of a wait, if it has one.
#[derive(Clone, Copy)]
struct Deadline {
    start: Instant,
    limit: Option<Duration>,
}

impl Deadline {
    fn new(limit: Option<Duration>) -> Self {
        let start = Instant::now();
        Self { start, limit }
    }

    /// What is left of the time, or as long as a wait may take at once. None when it is over.
    fn left(&self) -> Option<Duration> {
        const LONGEST: Duration = Duration::from_secs(3600);
        match self.limit {
            None => Some(LONGEST),
            Some(limit) => {
                let left = limit.saturating_sub(self.start.elapsed());
                (!left.is_zero()).then(|| left.min(LONGEST))
            }
        }
    }
}
