//! `posix-ipc reap`: clean up after hosts that were killed.

use crate::ledger::LedgerOptions;
use crate::output;
use anyhow::Result;
use std::process::ExitCode;
use wasmtime_posix_ipc::ledger::{self, LedgerDir, Leftover, Reaped};

/// Clean up after hosts that were killed
///
/// A host that is killed cannot unlink what its guests created, and cannot give back
/// the semaphores that they hold. The next `posix-ipc run` of the same user does that,
/// or this command. It touches only the objects that those guests created: if somebody
/// has taken a name since, it leaves the name alone.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  posix-ipc reap --dry-run    say what would be done
  posix-ipc reap
  posix-ipc reap --ledger /var/ledgers    of hosts that kept theirs there

The exit code is 1 if something could not be cleaned up.")]
pub struct Args {
    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,

    #[command(flatten)]
    ledger: LedgerOptions,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let folder = self.ledger.folder()?;
        let scan = match self.dry_run {
            true => ledger::scan(&folder)?,
            false => ledger::reap(&folder)?,
        };
        for leftover in &scan.leftovers {
            output::write(&format!("{}\n", in_words(leftover, self.dry_run)))?;
        }
        for problem in &scan.problems {
            eprintln!("posix-ipc: {problem}");
        }
        let failed = |leftover: &Leftover| leftover.reaped == Reaped::Failed;
        let complete = scan.problems.is_empty() && !scan.leftovers.iter().any(failed);
        Ok(if complete {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// Cleans up before a guest is run. What cannot be cleaned up does not keep the guest
/// from running.
pub fn before_run(folder: &LedgerDir) {
    match ledger::reap(folder) {
        Ok(scan) => {
            for leftover in &scan.leftovers {
                tracing::info!("{}", in_words(leftover, false));
            }
            for problem in &scan.problems {
                tracing::warn!("{problem}");
            }
        }
        Err(error) => tracing::warn!("cannot clean up after hosts that were killed: {error}"),
    }
}

fn in_words(leftover: &Leftover, dry_run: bool) -> String {
    let Leftover {
        kind,
        name,
        guest,
        reaped,
        ..
    } = leftover;
    let (name, guest) = (name.escape_debug(), guest.escape_debug());
    let would = if dry_run { "would be " } else { "" };
    match reaped {
        Reaped::Unlinked => format!("{kind}:{name}: {would}unlinked; {guest} had created it"),
        Reaped::GivenBack(1) => format!("{kind}:{name}: {would}given back; {guest} held it"),
        Reaped::GivenBack(count) => {
            format!("{kind}:{name}: {would}given back {count} times; {guest} held it")
        }
        Reaped::Elsewhere => format!(
            "{kind}:{name}: left alone, because it is in another namespace, as that of a \
             container; `posix-ipc reap` there cleans it up"
        ),
        _ => format!(
            "{kind}:{name}: left alone: it could not be read or changed; the next run tries again"
        ),
    }
}
