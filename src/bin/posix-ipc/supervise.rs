//! What ends a guest, where no guest can block it.
//!
//! A guest can block the thread that it runs on: by output that nobody reads, by a call on
//! a file that does not answer, by code that takes for ever to compile. So it has a
//! thread of its own, and the first thread of the process does nothing but wait for
//! what ends a guest: its own end, `--timeout`, or a signal. Then the guest has a moment
//! to end in order. If it does not, what it holds and created is cleaned up in its stead,
//! and the process ends with it.

use crate::run::End;
use crate::watch::{Start, Watch};
use anyhow::{Context, Result, anyhow};
use std::convert::Infallible;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::mpsc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::sleep;
use wasmtime_posix_ipc::{IpcHost, Waiting};

/// How long the guest has to end in order.
const GRACE: Duration = Duration::from_secs(1);

/// The least time that compiling may take, whatever the guest may take to run: it is
/// done once, and a short limit for the guest is not meant for it.
const COMPILE: Duration = Duration::from_secs(60);

/// What the thread of the guest needs to compile it, as much as a process has at first.
const STACK: usize = 8 << 20;

/// How long things may take.
pub struct TimeLimits {
    pub compile: Option<Duration>,
    pub run: Option<Duration>,
}

/// The end of the supervisor in the thread of the guest.
pub struct Supervisor {
    started: oneshot::Sender<()>,
    stop: oneshot::Receiver<()>,
    start: Start,
}

impl Supervisor {
    /// Runs what was compiled until it ends, or has to. What it holds is dropped then.
    pub async fn until_stopped(self, guest: impl Future<Output = End>) -> End {
        self.start.now();
        let _ = self.started.send(());
        tokio::select! {
            end = guest => end,
            // Nobody hears this: the supervisor knows why.
            _ = self.stop => End::Exit(0),
        }
    }
}

/// Compiles and runs a guest on a thread of its own until it ends or something ends it.
/// When this returns, all that the guest held and created is gone. Gives how the guest
/// ended, and what it was waiting for if it did not end by itself.
pub fn supervise(
    limits: TimeLimits,
    host: &IpcHost,
    watch: &Watch,
    guest: impl FnOnce(Supervisor) -> Result<End> + Send + 'static,
) -> Result<(End, Option<Waiting>)> {
    // Tokio makes such a pair for signals, and panics where it cannot.
    UnixStream::pair().context("there is no socket for signals to spare; see `ulimit -n`")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        let (started, is_started) = oneshot::channel();
        let (stop, is_stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let supervisor = Supervisor {
            started,
            stop: is_stopped,
            start: watch.start(),
        };
        let mut answers = pin!(watch.answer()?);
        std::thread::Builder::new()
            .name("posix-ipc-guest".into())
            .stack_size(STACK)
            .spawn(move || end.send(guest(supervisor)))
            .context("cannot start a thread")?;

        let mut ended = pin!(ended);
        let why = tokio::select! {
            end = &mut ended => {
                let end = end.map_err(|_| anyhow!("the thread of the guest has panicked"))?;
                return Ok((end?, None));
            }
            why = signals.next() => why,
            why = elapsed(limits, is_started) => why,
            never = &mut answers => match never {},
            never = look() => match never {},
        };
        let waiting = watch.waiting();
        drop(stop);
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            clean_up(host.clone());
        }
        Ok((why, waiting))
    })
}

/// Has everything looked at once a second. The thread of the guest wakes this one through
/// the system, and who ends guests does not rely on that.
async fn look() -> Infallible {
    loop {
        sleep(Duration::from_secs(1)).await;
    }
}

/// The end of the time for the guest.
async fn elapsed(limits: TimeLimits, is_started: oneshot::Receiver<()>) -> End {
    let compile = async {
        match limits.compile.map(|limit| limit.max(COMPILE)) {
            Some(limit) => {
                sleep(limit).await;
                End::NeverStarted(limit)
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        Ok(()) = is_started => {}
        end = compile => return end,
        else => std::future::pending().await,
    }
    match limits.run {
        Some(limit) => {
            sleep(limit).await;
            End::TimedOut(limit)
        }
        None => std::future::pending().await,
    }
}

/// Does what a guest that is stuck does not. This takes as long as it may take, at most:
/// what is not done then is left to the next `posix-ipc reap`.
fn clean_up(host: IpcHost) {
    let (done, is_done) = mpsc::channel();
    let clean_up = move || {
        host.abandon();
        let _ = done.send(());
    };
    if std::thread::Builder::new().spawn(clean_up).is_ok() {
        let _ = is_done.recv_timeout(GRACE);
    }
}

/// The signals that end a guest.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
    /// The end of the terminal. Whoever started this with the signal ignored, as `nohup`
    /// does, means it to go on.
    hangup: Option<Signal>,
}

impl Signals {
    fn new() -> Result<Self> {
        let ignored = is_ignored(libc::SIGHUP)?;
        let hangup = (!ignored).then(|| signal(SignalKind::hangup()));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            hangup: hangup.transpose()?,
        })
    }

    async fn next(&mut self) -> End {
        let hangup = async {
            match &mut self.hangup {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => End::Signal("interrupted", libc::SIGINT),
            _ = self.terminate.recv() => End::Signal("terminated", libc::SIGTERM),
            _ = self.quit.recv() => End::Signal("told to quit", libc::SIGQUIT),
            _ = hangup => End::Signal("its terminal was closed", libc::SIGHUP),
        }
    }
}

fn is_ignored(number: i32) -> Result<bool> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let ignored = status.lines().find_map(|line| {
        let bits = line.strip_prefix("SigIgn:")?.trim();
        u64::from_str_radix(bits, 16).ok()
    });
    Ok(ignored.unwrap_or(0) & 1 << (number - 1) != 0)
}
