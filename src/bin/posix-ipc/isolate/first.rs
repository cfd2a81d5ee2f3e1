//! The first process of a namespace. It starts the program, and ends with it.
//!
//! The kernel drops signals that the first process of a namespace has no handler for, also
//! those of the terminal.

use super::{Users, code};
use crate::output;
use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, close};
use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};

/// The hidden subcommand.
pub const WORD: &str = "first-process-of-a-namespace";

/// The first process of a namespace: the command starts it by itself
#[derive(clap::Args)]
pub struct Args {
    /// The descriptor of the pipe from the outer process
    pipe: i32,
    /// Who the program runs as, if root of a namespace of users is to become somebody else
    #[arg(long, requires = "group")]
    user: Option<u32>,
    #[arg(long)]
    group: Option<u32>,
    /// The program and its arguments
    #[arg(required = true, last = true)]
    program: Vec<OsString>,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        if std::process::id() != 1 {
            return Err(anyhow!(
                "this is no command; use `posix-ipc exec --isolate`"
            ));
        }
        let pipe = File::open(format!("/proc/self/fd/{}", self.pipe))
            .context("/proc shows no descriptors")?;
        // Neither the program nor anything that it starts gets it.
        close(self.pipe)?;
        show_own_processes();
        if let (Some(user), Some(group)) = (self.user, self.group) {
            unshare(CloneFlags::CLONE_NEWUSER).map_err(super::refused)?;
            Users { user: 0, group: 0 }
                .map(user, group)
                .context("this user cannot become the one that it was")?;
        }

        // The program gets the mask that the outer process was started with.
        sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&super::caught()), None)?;
        let (program, arguments) = self.program.split_first().context("there is no program")?;
        let mut command = Command::new(program);
        command.args(arguments);
        // What is about objects of this namespace goes with them.
        command.env(crate::ledger::VARIABLE, "/dev/shm");
        let started = match command.spawn() {
            Ok(started) => started,
            Err(error) => {
                let shown = program.display();
                output::tell(&format!("posix-ipc: {shown} cannot be run: {error}\n"));
                return Ok(ExitCode::from(match error.kind() {
                    ErrorKind::NotFound => 127,
                    _ => 126,
                }));
            }
        };
        let program = Pid::from_raw(started.id() as i32);
        let mut ended = SigSet::empty();
        ended.add(Signal::SIGCHLD);
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&ended), None)?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let ended = SignalFd::with_flags(&ended, flags)?;
        until_ended(program, &ended, pipe).map(ExitCode::from)
    }
}

/// Mounts the `/proc` of the new namespace. A container that hides parts of its own lets no
/// user have another. Then that one stays, in which the processes have other numbers.
fn show_own_processes() {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let mounted = mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>);
    if let Err(errno) = mounted {
        tracing::info!("/proc stays that of the machine: it cannot be mounted here ({errno})");
    }
}

/// Waits for the end of the program, and gives its exit code. Signals come through the pipe.
fn until_ended(program: Pid, ended: &SignalFd, mut pipe: File) -> Result<u8> {
    loop {
        if let Some(status) = reap(program)? {
            return Ok(code(status));
        }
        let mut ready = [
            PollFd::new(ended.as_fd(), PollFlags::POLLIN),
            PollFd::new(pipe.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut ready, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let said = ready[1].any().unwrap_or(false);
        while let Ok(Some(_)) = ended.read_signal() {}
        if said {
            let mut number = [0];
            // Nobody is there any more who could want the program.
            if pipe.read(&mut number)? == 0 {
                return Ok(128 + Signal::SIGKILL as u8);
            }
            if let Ok(signal) = Signal::try_from(i32::from(number[0])) {
                // It is not reaped, so its number is nobody else's.
                let _ = kill(program, signal);
            }
        }
    }
}

/// Reaps what has ended, among it what has lost its parent. Gives what the program has come to.
fn reap(program: Pid) -> Result<Option<ExitStatus>> {
    loop {
        let status = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(None),
            Err(Errno::EINTR) => continue,
            status => status?,
        };
        match status {
            WaitStatus::Exited(id, code) if id == program => {
                return Ok(Some(ExitStatus::from_raw(code << 8)));
            }
            WaitStatus::Signaled(id, signal, _) if id == program => {
                return Ok(Some(ExitStatus::from_raw(signal as i32)));
            }
            _ => {}
        }
    }
}
