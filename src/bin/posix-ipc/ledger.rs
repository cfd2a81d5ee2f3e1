//! Which folder the ledgers are in.

use anyhow::{Context, Result};
use std::path::PathBuf;
use wasmtime_posix_ipc::ledger::LedgerDir;

/// What chooses the folder.
pub const VARIABLE: &str = "POSIX_IPC_LEDGER";

#[derive(clap::Args, Debug)]
pub struct LedgerOptions {
    /// Keep the ledgers in this folder, each user's in a folder of its own. It must exist. By
    /// default it is what POSIX_IPC_LEDGER says, or else in the runtime directory
    #[arg(long = "ledger", value_name = "DIR", help_heading = None)]
    folder: Option<PathBuf>,
}

impl LedgerOptions {
    /// Whether somebody has said where the ledgers are.
    pub fn is_chosen(&self) -> bool {
        self.chosen().is_some()
    }

    /// The folder of this user.
    pub fn folder(&self) -> Result<LedgerDir> {
        match self.chosen() {
            Some((folder, said_by)) => {
                LedgerDir::shared(folder).with_context(|| format!("{said_by} cannot be used"))
            }
            None => Ok(LedgerDir::usual()?),
        }
    }

    fn chosen(&self) -> Option<(PathBuf, &'static str)> {
        let variable = || std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
        let flag = self.folder.clone().map(|folder| (folder, "--ledger"));
        flag.or_else(|| Some((variable()?.into(), VARIABLE)))
    }
}
