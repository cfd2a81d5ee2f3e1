//! `posix-ipc wit`: the interfaces, for whoever writes a guest.

use crate::{files, output};
use anyhow::Result;
use std::path::PathBuf;
use std::process::ExitCode;

/// Print the WIT package, or write it into a folder
///
/// Guests import the package `posix:ipc`. With --output, this writes the package and
/// the packages that it depends on, in the layout that wit-bindgen reads.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  posix-ipc wit                  show the interfaces
  posix-ipc wit --output wit     write wit/posix-ipc.wit and wit/deps/io.wit")]
pub struct Args {
    /// The folder to write to. It is created if it does not exist
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

const FILES: [(&str, &str); 2] = [
    ("posix-ipc.wit", include_str!("../../../wit/posix-ipc.wit")),
    ("deps/io.wit", include_str!("../../../wit/deps/io.wit")),
];

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        match self.output {
            None => output::write(FILES[0].1)?,
            Some(folder) => {
                for (name, text) in FILES {
                    files::write(&folder.join(name), text)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
