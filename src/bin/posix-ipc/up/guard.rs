//! Two processes, each of which ends everything when the other one is gone.
//!
//! The *guard* is the command that the user has started. It starts this command again, as the
//! process that starts the programs. That one is in a process group of its own, so that no
//! signal kills both. A program may lose its parent: the kernel gives it to the next of the
//! two, which kills it at the end. In a namespace of their own, its first process is the guard.

use super::file::Plan;
use super::fleet;
use crate::isolate::{Signals, code, inherited};
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, close, pipe2};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The hidden subcommand.
pub const WORD: &str = "programs-of-up";

/// The process that starts the programs: `posix-ipc up` starts it by itself
#[derive(clap::Args)]
pub struct Args {
    file: PathBuf,
    /// The descriptor of a pipe that ends with the guard
    #[arg(long)]
    guard: Option<i32>,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let guard = match self.guard {
            Some(descriptor) => {
                let pipe = File::open(format!("/proc/self/fd/{descriptor}"))
                    .context("/proc shows no descriptors")?;
                // No program gets it.
                close(descriptor)?;
                Some(pipe)
            }
            None => None,
        };
        prctl::set_child_subreaper(true)?;
        let plan = Plan::read(&self.file)?;
        let ended = fleet::run(plan, guard);
        kill_descendants();
        ended.map(ExitCode::from)
    }
}

/// Starts the other process and waits for its end.
pub fn run(file: &Path) -> Result<ExitCode> {
    let signals = Signals::block()?;
    prctl::set_child_subreaper(true)?;
    let (end, pipe) = pipe2(OFlag::O_CLOEXEC)?;
    let mut fleet = Command::new("/proc/self/exe");
    fleet
        .arg(WORD)
        .arg(format!("--guard={}", inherited(&end)?))
        .arg("--")
        .arg(file)
        .process_group(0);
    let mut fleet = fleet.spawn().context("cannot start a process")?;
    drop(end);
    let id = Pid::from_raw(fleet.id() as i32);
    let status = signals.until_ended(&mut fleet, |signal, _| {
        // It is not reaped, so its number is nobody else's.
        let _ = kill(id, signal);
    })?;
    drop(pipe);
    kill_descendants();
    Ok(ExitCode::from(code(status)))
}

/// Kills what this process has started, and what those have: when a process ends, its
/// children become those of this one.
fn kill_descendants() {
    loop {
        for child in children() {
            let _ = kill(child, Signal::SIGKILL);
        }
        match waitpid(None, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

fn children() -> Vec<Pid> {
    let this = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut children = Vec::new();
    for process in processes {
        let Ok(id) = process.file_name().to_string_lossy().parse() else {
            continue;
        };
        let stat = std::fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        // A program's name may hold what it likes, and ends with the last parenthesis.
        let parent = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(1));
        if parent == Some(&*this) {
            children.push(Pid::from_raw(id));
        }
    }
    children
}
