//! The file of a run that failed.

use super::Setting;
use super::rows::{FaultRow, Row, rows};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::Path;
use wasmtime_posix_ipc::explore::{Fault, Run, Schedule};

/// What repeats a run: the guests, which must be the same to the byte, who went on, and what
/// went wrong. What the guests did is kept to see that they do it again.
#[derive(Serialize, Deserialize)]
pub struct Recording {
    /// The version of this command: another one may choose at other points.
    version: String,
    pub setting: Setting,
    hashes: Vec<String>,
    pub schedule: Schedule,
    faults: Vec<FaultRow>,
    pub operations: Vec<Row>,
}

impl Recording {
    pub fn of(setting: Setting, run: &Run) -> Result<Self> {
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").into(),
            hashes: hashes(&setting)?,
            setting,
            schedule: run.schedule.clone(),
            faults: run.faults.iter().map(FaultRow::of).collect(),
            operations: rows(run),
        })
    }

    pub fn faults(&self) -> Vec<Fault> {
        self.faults.iter().map(FaultRow::fault).collect()
    }

    pub fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    pub fn read(file: &Path) -> Result<Self> {
        let shown = file.display();
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
        let this: Self =
            serde_json::from_str(&text).with_context(|| format!("{shown} is not a recording"))?;
        let version = env!("CARGO_PKG_VERSION");
        if this.version != version {
            bail!(
                "{shown} was recorded by version {} and this is {version}; search again",
                this.version
            );
        }
        for (guest, (now, then)) in this
            .setting
            .guests
            .iter()
            .zip(hashes(&this.setting)?.iter().zip(&this.hashes))
        {
            if now != then {
                bail!(
                    "{} has changed since {shown} was recorded; search again",
                    guest.program.display()
                );
            }
        }
        Ok(this)
    }
}

fn hashes(setting: &Setting) -> Result<Vec<String>> {
    let hash = |guest: &super::Guest| {
        let bytes = std::fs::read(&guest.program)
            .with_context(|| format!("cannot read the guest {}", guest.program.display()))?;
        let mut text = String::new();
        for byte in Sha256::digest(&bytes) {
            let _ = write!(text, "{byte:02x}");
        }
        Ok(text)
    };
    setting.guests.iter().map(hash).collect()
}
