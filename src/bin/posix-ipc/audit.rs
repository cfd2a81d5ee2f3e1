//! `--audit FILE`: what was decided, as lines of JSON.

use anyhow::{Context, Result};
use serde::Serialize;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;
use wasmtime_posix_ipc::audit::AuditEvent;
use wasmtime_posix_ipc::grant::{Bytes, Name, Right};

/// What is written down of a guest.
#[derive(clap::Args)]
#[command(next_help_heading = "Record")]
pub struct AuditOptions {
    /// Append each decision about the guest to a file, as a line of JSON
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,

    /// End the guest if its part of the audit gets larger than this [default: 1GiB]
    #[arg(long, value_name = "SIZE", requires = "audit")]
    max_audit_bytes: Option<Bytes>,
}

impl AuditOptions {
    /// The file, if there is to be one.
    pub fn open(&self) -> Result<Option<Record>> {
        const MOST: Bytes = Bytes(1 << 30);
        let most = self.max_audit_bytes.unwrap_or(MOST);
        let open = |path: &PathBuf| {
            Record::open(path, most)
                .with_context(|| format!("cannot write to the audit {}", path.display()))
        };
        self.audit.as_ref().map(open).transpose()
    }
}

/// A file that lines are added to, beside others who add to it.
pub struct Record {
    path: PathBuf,
    file: File,
    most: Bytes,
    written: Mutex<u64>,
}

impl Record {
    fn open(path: &Path, most: Bytes) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            // Whoever may write to the folder does not choose another file with a link.
            .custom_flags(libc::O_NOFOLLOW | libc::O_NOCTTY)
            .open(path)?;
        let record = Self {
            path: path.into(),
            file,
            most,
            written: Mutex::new(0),
        };
        record.end_line()?;
        Ok(record)
    }

    /// Where a full disk has cut a line off, the next one is to start on its own.
    fn end_line(&self) -> std::io::Result<()> {
        let mut last = [b'\n'];
        if let Some(end) = self.file.metadata()?.len().checked_sub(1) {
            self.file.read_exact_at(&mut last, end)?;
        }
        match last {
            [b'\n'] => Ok(()),
            _ => (&self.file).write_all(b"\n"),
        }
    }

    /// Adds a line. That it cannot be is the end of the guest: what is not complete is no
    /// record.
    pub fn add(&self, event: &AuditEvent<'_>) -> wasmtime::Result<()> {
        let lost = |why: String| Lost {
            path: self.path.clone(),
            why,
        };
        let line = line(event);
        let mut written = self.written.lock().unwrap_or_else(|e| e.into_inner());
        *written += line.len() as u64;
        if *written > self.most.0 {
            let why = format!(
                "the limit of {} for one guest is reached; raise it with --max-audit-bytes SIZE",
                self.most
            );
            return Err(lost(why).into());
        }
        // Whole lines, so that those of others stand before or behind them.
        (&self.file)
            .write_all(line.as_bytes())
            .map_err(|error| lost(error.to_string()).into())
    }
}

/// The record could not be continued.
#[derive(Debug)]
pub struct Lost {
    path: PathBuf,
    why: String,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, why } = self;
        write!(f, "cannot write to the audit {}: {why}", path.display())
    }
}

impl std::error::Error for Lost {}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    guest: &'a str,
    kind: Option<&'static str>,
    name: Option<&'a str>,
    host_name: Option<&'a str>,
    operation: &'static str,
    rights: Vec<&'static str>,
    decision: &'static str,
    errno: Option<&'static str>,
}

fn line(event: &AuditEvent<'_>) -> String {
    // What is longer is no name, and may be a hundred megabytes.
    const LONGEST_NAME: usize = 512;
    let name = &event.name[..event.name.floor_char_boundary(LONGEST_NAME)];
    let line = Line {
        time: humantime::format_rfc3339_micros(SystemTime::now()).to_string(),
        guest: event.guest,
        kind: event.kind.map(|kind| kind.flag()),
        name: event.kind.map(|_| name),
        host_name: event.host_name.map(Name::as_str),
        operation: event.operation.word(),
        rights: event.rights.iter().copied().map(Right::word).collect(),
        decision: event.decision.word(),
        errno: event.errno(),
    };
    let json = serde_json::to_string(&line).expect("texts and lists of them are JSON");
    ascii(&json) + "\n"
}

/// The same JSON without what a terminal, or a reader of lines, takes for something else:
/// the guest has chosen the name. What is not plain text stands in strings only.
fn ascii(json: &str) -> String {
    let mut plain = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if c.is_ascii() && c != '\x7f' {
            plain.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            plain += &format!("\\u{unit:04x}");
        }
    }
    plain
}
