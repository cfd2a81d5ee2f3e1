//! Programs in namespaces of their own: of processes, of queues and of mounts, with an own
//! `/dev/shm`. All that is in them goes when their first process does.
//!
//! Three processes take part. The *outer* one is the command that the user has started. It
//! makes the namespaces and waits. The *first* process of the new namespaces is this command
//! again: see `first.rs`. It starts the *program*, and ends with it. When the first process
//! ends in whatever way, the kernel kills everything else in the namespace. A pipe leads from
//! the outer process to the first: the outer one passes on signals through it, and its end,
//! which it has also when it is killed, ends the first.

pub mod first;

use anyhow::{Context, Result, anyhow, bail};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{getegid, geteuid, pipe2};
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus};

/// What a program is told of: those that end it, and those that many use to talk to one.
const PASSED_ON: [Signal; 8] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGWINCH,
];

/// Runs a program in namespaces of its own, and passes on its exit code. This process has one
/// thread, and is in the new namespaces afterwards.
pub fn run(program: &[OsString]) -> Result<ExitCode> {
    let signals = Signals::block()?;
    let users = Users::of_this_process();
    let mapped = enter(&users)?;
    mount_own().context("there can be no namespace: its /dev/shm cannot be mounted")?;

    let (end, pipe) = pipe2(OFlag::O_CLOEXEC)?;
    let mut first = Command::new("/proc/self/exe");
    first.arg(first::WORD).arg(inherited(&end)?.to_string());
    if mapped {
        first.arg(format!("--user={}", users.user));
        first.arg(format!("--group={}", users.group));
    }
    first.arg("--").args(program);
    let started = first.spawn();
    let mut first = started.context("cannot start a process in the namespace")?;
    drop(end);
    let mut pipe = File::from(pipe);
    let status = signals.until_ended(&mut first, |signal, of_terminal| {
        // What the terminal sends, it sends to the program too.
        if !of_terminal {
            // It is ending if it does not read.
            let _ = pipe.write_all(&[signal as u8]);
        }
    })?;
    Ok(ExitCode::from(code(status)))
}

/// The number of a descriptor that the next program gets.
pub fn inherited(descriptor: &OwnedFd) -> Result<i32> {
    fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(descriptor.as_raw_fd())
}

/// The exit code of what a program has come to, as shells have it.
pub fn code(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => code as u8,
        (_, Some(signal)) => 128 + signal as u8,
        _ => 1,
    }
}

/// Who runs this.
struct Users {
    user: u32,
    group: u32,
}

impl Users {
    fn of_this_process() -> Self {
        Self {
            user: geteuid().as_raw(),
            group: getegid().as_raw(),
        }
    }

    /// Says that `user` and `group` of the new namespace are these of the old one.
    fn map(&self, user: u32, group: u32) -> std::io::Result<()> {
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("{user} {} 1", self.user))?;
        std::fs::write("/proc/self/gid_map", format!("{group} {} 1", self.group))
    }
}

/// Enters new namespaces. Who may not do that becomes root of a namespace of users first:
/// says whether that was so. The namespace of processes is for those that are started next.
fn enter(users: &Users) -> Result<bool> {
    let own = CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
    match unshare(own) {
        Ok(()) => return Ok(false),
        Err(Errno::EPERM) => {}
        Err(errno) => return Err(refused(errno)),
    }
    unshare(CloneFlags::CLONE_NEWUSER).map_err(refused)?;
    users
        .map(0, 0)
        .map_err(|error| refused(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EPERM))))?;
    unshare(own).map_err(refused)?;
    Ok(true)
}

fn refused(errno: Errno) -> anyhow::Error {
    match errno {
        Errno::EPERM | Errno::EACCES | Errno::ENOSPC | Errno::EUSERS | Errno::EINVAL => anyhow!(
            "this system lets this user have no namespaces ({errno}). Run this as root, or let \
             the administrator allow namespaces of users: see `sysctl user.max_user_namespaces \
             kernel.unprivileged_userns_clone kernel.apparmor_restrict_unprivileged_userns`. \
             In a container, it takes CAP_SYS_ADMIN"
        ),
        _ => anyhow!("there can be no namespaces: {errno}"),
    }
}

/// Mounts what the namespaces have of their own. What the machine mounts later appears
/// inside, and nothing goes the other way.
fn mount_own() -> Result<()> {
    const NONE: Option<&str> = None;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_SLAVE, NONE)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let memory = Path::new("/dev/shm");
    if !memory.is_dir() {
        bail!("there is no folder /dev/shm");
    }
    mount(
        Some("posix-ipc"),
        memory,
        Some("tmpfs"),
        flags,
        Some("mode=1777"),
    )
    .map_err(refused)?;
    let queues = Path::new("/dev/mqueue");
    // Queues work without it. It must not show those of another namespace.
    if queues.is_dir() {
        let flags = flags | MsFlags::MS_NOEXEC;
        mount(Some("posix-ipc"), queues, Some("mqueue"), flags, NONE).map_err(refused)?;
    }
    Ok(())
}

/// The signals that the outer process reads.
pub fn caught() -> SigSet {
    let mut set = SigSet::empty();
    set.add(Signal::SIGCHLD);
    PASSED_ON.into_iter().for_each(|signal| set.add(signal));
    set
}

/// Signals that wait to be read instead of ending this process.
pub struct Signals(SignalFd);

impl Signals {
    pub fn block() -> Result<Self> {
        let set = caught();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC)?))
    }

    /// Waits until the child has ended. What comes meanwhile is given away, and whether the
    /// terminal has sent it.
    pub fn until_ended(
        &self,
        child: &mut Child,
        mut pass_on: impl FnMut(Signal, bool),
    ) -> Result<ExitStatus> {
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if let Some((signal, of_terminal)) = self.read()? {
                pass_on(signal, of_terminal);
            }
        }
    }

    /// The next signal that is not about children, and whether the terminal has sent it.
    pub fn read(&self) -> Result<Option<(Signal, bool)>> {
        let signal = match self.0.read_signal() {
            Err(Errno::EINTR) => return Ok(None),
            signal => signal?,
        };
        let Some(signal) = signal else {
            return Ok(None);
        };
        let of_terminal = signal.ssi_code == libc::SI_KERNEL;
        let signal = Signal::try_from(signal.ssi_signo as i32)?;
        Ok((signal != Signal::SIGCHLD).then_some((signal, of_terminal)))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
