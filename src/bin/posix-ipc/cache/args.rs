//! `posix-ipc cache`: what is kept of compiled guests.

use super::kept;
use crate::output;
use anyhow::{Context, Result};
use std::process::ExitCode;

/// Show or clear the compiled guests that are kept
///
/// Compiling a large guest takes seconds, so the result is kept for the next run. If the
/// folder gets larger than POSIX_IPC_CACHE_SIZE (1GiB), what was used longest ago is
/// removed, and so is what has not been used for 30 days. To clear it is safe at any time:
/// guests that run go on, and the next run compiles.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  posix-ipc cache            where it is, how many guests, how many bytes
  posix-ipc cache --clear")]
pub struct Args {
    /// Remove all compiled guests
    #[arg(long)]
    clear: bool,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let path = kept::path()?;
        let path = path.display();
        let folder = kept::folder()?;
        let content = match self.clear {
            true => kept::clear(&folder).with_context(|| format!("cannot clear {path}"))?,
            false => kept::content(&folder),
        };
        let removed = if self.clear { "removed " } else { "" };
        let bound = kept::bound()?;
        output::write(&format!("{path}: {removed}{content} (at most {bound})\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}
