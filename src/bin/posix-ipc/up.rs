//! `posix-ipc up`: several programs together, native and sandboxed.

mod file;
mod fleet;
pub mod guard;
mod lines;

use crate::isolate;
use anyhow::Result;
use file::Plan;
use std::path::PathBuf;
use std::process::ExitCode;

/// Run several programs together, native and sandboxed, as a file says
///
/// The file has a table [[guest]] for each guest and a table [[process]] for each native
/// program. Each line of output gets the name of its program in front. The first program that
/// fails ends the others, and its exit code is that of this command; 0 if none failed. SIGINT,
/// SIGTERM, SIGHUP and SIGQUIT are passed on to the programs, the last that was started
/// first. What still runs after the grace time is killed. Nothing is left running, also when
/// this command is killed.
///
/// With `isolate = true` in the file, the programs have semaphores, shared memory, message
/// queues and processes of their own, as what `posix-ipc exec` runs.
#[derive(clap::Args)]
#[command(after_help = r#"Examples:
  posix-ipc up
  posix-ipc up tests/load.toml

A file:
  isolate = true

  [[process]]
  name = "server"
  command = ["./server", "/jobs"]

  [[guest]]
  name = "worker"
  guest = "worker.py"
  after-object = "mq:/jobs"
  mq = [{ name = "/jobs", access = "recv" }]

Paths are relative to the folder of the file, in which the programs start. docs/up.md explains
all keys."#)]
pub struct Args {
    /// The file that says what to run
    #[arg(default_value = "posix-ipc.toml")]
    file: PathBuf,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        // Before anything starts. The process that starts it reads the file again.
        let plan = Plan::read(&self.file)?;
        match plan.isolate {
            true => isolate::run(&[
                "/proc/self/exe".into(),
                guard::WORD.into(),
                "--".into(),
                self.file.into(),
            ]),
            false => guard::run(&self.file),
        }
    }
}
