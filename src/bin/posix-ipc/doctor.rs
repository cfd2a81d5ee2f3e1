//! `posix-ipc doctor`: whether guests run here, and what to do if something is missing.

mod machine;
mod setup;

use crate::ledger::LedgerOptions;
use crate::output::{self, Format};
use anyhow::Result;
use serde::Serialize;
use std::fmt::Write as _;
use std::process::ExitCode;

/// Say whether guests run on this machine, and what to do if not
///
/// This looks at the limits of the system, the components that run scripts, the folders
/// of this program, and the tools that build guests. It runs a small guest, and makes a
/// segment and a queue which are gone at once.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  posix-ipc doctor
  posix-ipc doctor --format json | jq -r '.[] | select(.status != \"ok\") | .advice'

JSON is an array of objects with these members:
  section   \"machine\", \"scripts\", \"folders\" or \"tools\"
  check     what was looked at
  status    \"ok\"; \"note\": guests run, and less works; \"error\": guests do not run
  found     what there is
  advice    what to do, or null

Later versions may add members and objects, and remove no member.

The exit code is 1 if something keeps guests from running.")]
pub struct Args {
    /// How to print the findings
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    #[command(flatten)]
    ledger: LedgerOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Note,
    Error,
}

/// What one look has found.
#[derive(Debug, Serialize)]
struct Finding {
    section: &'static str,
    check: &'static str,
    status: Status,
    found: String,
    advice: Option<String>,
}

impl Finding {
    fn ok(section: &'static str, check: &'static str, found: impl Into<String>) -> Self {
        Self {
            section,
            check,
            status: Status::Ok,
            found: found.into(),
            advice: None,
        }
    }

    /// Something works less well, or not at all, and guests run.
    fn note(self, advice: impl Into<String>) -> Self {
        Self {
            status: Status::Note,
            advice: Some(advice.into()),
            ..self
        }
    }

    /// Guests do not run, or find objects of a kind nowhere.
    fn error(self, advice: impl Into<String>) -> Self {
        Self {
            status: Status::Error,
            advice: Some(advice.into()),
            ..self
        }
    }

    /// A note if this is so.
    fn note_if(self, is_so: bool, advice: impl Into<String>) -> Self {
        match is_so {
            true => self.note(advice),
            false => self,
        }
    }
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let mut findings = machine::findings();
        findings.extend(setup::findings(&self.ledger));
        let text = match self.format {
            Format::Text => text(&findings),
            Format::Json => output::json(&findings)?,
        };
        output::write(&output::visible(&text))?;
        let runs = findings.iter().all(|found| found.status != Status::Error);
        Ok(if runs {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    let width = findings.iter().map(|finding| finding.check.len()).max();
    let width = width.unwrap_or(0);
    let mut section = "";
    for finding in findings {
        if finding.section != section {
            section = finding.section;
            let _ = writeln!(text, "{section}");
        }
        let mark = match finding.status {
            Status::Ok => "ok",
            Status::Note => "note",
            Status::Error => "ERROR",
        };
        let _ = writeln!(
            text,
            "  {mark:<5}  {:<width$}  {}",
            finding.check, finding.found
        );
        if let Some(advice) = &finding.advice {
            let _ = writeln!(text, "         {advice}");
        }
    }
    let worst = |status| findings.iter().any(|finding| finding.status == status);
    text.push_str(match (worst(Status::Error), worst(Status::Note)) {
        (true, _) => "Guests do not run here until the errors are gone.\n",
        (_, true) => "Guests run here. The notes say what would work better.\n",
        _ => "Guests run here.\n",
    });
    text
}
