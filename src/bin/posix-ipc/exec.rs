//! `posix-ipc exec`: a native program that leaves nothing behind.

use crate::isolate;
use anyhow::Result;
use std::ffi::OsString;
use std::process::ExitCode;

/// Run a native program in a namespace of its own, of which nothing is left
///
/// The program and all that it starts have semaphores, shared memory and message queues of
/// their own, which nobody else sees: /dev/shm is empty at first, and so are the queues. When
/// the program ends, everything that it still runs is killed, and every object is gone. The
/// same happens when this command is killed. The program runs as the same user, with the same
/// files, network and variables, and sees no other process.
///
/// Signals that this command gets are passed on to the program. The exit code is the
/// program's own, or 128 plus the number of the signal that ended it; 127 if there is no such
/// program, 126 if it cannot be run, and 1 if there can be no namespace.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  posix-ipc exec --isolate -- make check
  posix-ipc exec --isolate -- sh -c './server & ./client'
  posix-ipc exec --isolate -- posix-ipc ls

Root needs nothing for this. Another user needs a kernel that allows namespaces of users, as
most do.")]
pub struct Args {
    /// Give the program a namespace of its own. It is required: in the namespace of all, the
    /// kernel does not say which program has created an object
    #[arg(long, required = true)]
    isolate: bool,

    /// The program and its arguments
    #[arg(
        required = true,
        value_name = "PROGRAM",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    program: Vec<OsString>,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        isolate::run(&self.program)
    }
}
