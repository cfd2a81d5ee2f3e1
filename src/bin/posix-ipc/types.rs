//! `posix-ipc types`: what editors know of the modules that scripts import.

use crate::files;
use anyhow::Result;
use std::path::PathBuf;
use std::process::ExitCode;

/// Write the declarations of the modules for scripts, for editors and type checkers
///
/// For Python this is a stub of the module posix_ipc, for JavaScript a declaration of the
/// module posix-ipc and of the global names.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  posix-ipc types --output typings

Pyright and Pylance look for stubs in the folder `typings`; for others, name the folder: as
MYPYPATH for mypy. For JavaScript, put \"typings/*.d.ts\" into \"include\" of jsconfig.json or
tsconfig.json.")]
pub struct Args {
    /// The folder to write to. It is created if it does not exist
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

/// For Python.
pub const PYTHON: [(&str, &str); 1] = [(
    "posix_ipc/__init__.pyi",
    include_str!("../../../guest-sdk/python/src/posix_ipc/__init__.pyi"),
)];

/// For JavaScript and TypeScript.
pub const JAVASCRIPT: [(&str, &str); 2] = [
    (
        "posix-ipc.d.ts",
        include_str!("../../../guest-sdk/js/posix-ipc.d.ts"),
    ),
    (
        "globals.d.ts",
        include_str!("../../../guest-sdk/js/globals.d.ts"),
    ),
];

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        for (name, text) in PYTHON.into_iter().chain(JAVASCRIPT) {
            files::write(&self.output.join(name), text)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
