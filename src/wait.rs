//! Waits that can be cancelled and that consume nothing when they are.
//!
//! A call tries first. If it has to wait, it blocks its thread for a moment, which
//! a peer that is about to answer does not exceed, and then parks: the task holds
//! no thread, and whoever drops it has cancelled it. Parked tasks are woken when
//! it is worth trying again; the one place that takes a token or a message is the
//! try itself, on the task. So a task that is gone has taken nothing.

mod park;
mod queue;
mod reactor;
#[cfg(test)]
mod tests;
mod word;

pub(crate) use park::Park;
#[cfg(feature = "explore")]
pub(crate) use park::Parked;
pub(crate) use queue::{PollableQueue, notified};

use crate::name::Name;
use crate::sys::word::{Word, semaphores_have_words};
use crate::sys::{self, Errno};
use reactor::{Interest, Reactor, Registration};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How a host waits for semaphores and for words of shared memory. Queues are
/// waited for by their descriptors in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitStrategy {
    /// [`Reactor`](Self::Reactor) where it works on this system, else
    /// [`Polling`](Self::Polling).
    #[default]
    Auto,
    /// A thread of the host waits for all guests at once, 127 different semaphores
    /// or words to a thread. Needs Linux 5.16 and the semaphores of glibc; whether
    /// they are as expected is tried out at the first wait.
    Reactor,
    /// Every waiting guest looks again from time to time, at most
    /// 5 milliseconds apart. Works everywhere.
    Polling,
}

impl WaitStrategy {
    /// What [`Auto`](Self::Auto) is on this system: [`Reactor`](Self::Reactor) or
    /// [`Polling`](Self::Polling).
    pub fn detected() -> Self {
        match semaphores_have_words() {
            true => Self::Reactor,
            false => Self::Polling,
        }
    }
}

/// The waiting machinery of a host.
pub(crate) struct Waits {
    strategy: WaitStrategy,
    inline: Duration,
    /// Made at the first wait that needs it.
    reactor: OnceLock<Reactor>,
    /// That there is none is logged once.
    logged: Once,
    /// Who ends waits instead of the kernel.
    parking: Option<Arc<dyn Park>>,
}

impl Waits {
    pub(crate) fn new(
        strategy: WaitStrategy,
        inline: Duration,
        parking: Option<Arc<dyn Park>>,
    ) -> Self {
        Self {
            strategy,
            inline,
            reactor: OnceLock::new(),
            logged: Once::new(),
            parking,
        }
    }

    /// None if this wait is to be made in slices. The next one may find a reactor.
    fn reactor(&self) -> Option<&Reactor> {
        if let Some(reactor) = self.reactor.get() {
            return Some(reactor);
        }
        if self.strategy == WaitStrategy::Polling {
            return None;
        }
        if semaphores_have_words() {
            return Some(self.reactor.get_or_init(Reactor::new));
        }
        if self.strategy == WaitStrategy::Reactor {
            self.logged.call_once(|| {
                tracing::warn!("semaphores cannot be waited on by futex here; waiting in slices");
            });
        }
        None
    }

    /// A place in the reactor. None if the wait is to be made in slices.
    fn register(&self, word: Word, interest: Interest) -> Option<Registration> {
        self.reactor()?.register(word, interest)
    }
}

/// When a wait ends, on the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deadline {
    Never,
    At(Instant),
}

impl Deadline {
    /// A span that reaches past the end of the clock never elapses.
    pub(crate) fn after(nanoseconds: u64) -> Self {
        let span = Duration::from_nanos(nanoseconds);
        Instant::now()
            .checked_add(span)
            .map_or(Self::Never, Self::At)
    }

    fn remaining(self) -> Duration {
        match self {
            Self::Never => Duration::MAX,
            Self::At(end) => end.saturating_duration_since(Instant::now()),
        }
    }
}

/// Ends every wait of a guest, now and from now on.
#[derive(Clone, Debug)]
pub struct Canceller {
    cancelled: watch::Sender<bool>,
    waiting: Arc<Mutex<Option<Waiting>>>,
}

/// What a guest waits for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Waiting {
    /// The object, by the guest's name for it.
    pub name: Name,
    /// The call that waits, such as `acquire`.
    pub operation: &'static str,
    /// When the wait began.
    pub since: std::time::Instant,
}

impl fmt::Display for Waiting {
    /// As in `sem:/gate (acquire)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_str().escape_debug();
        write!(f, "{}:{name} ({})", self.name.kind(), self.operation)
    }
}

/// Who waits, and if that is to be known, for what.
#[derive(Clone, Copy)]
pub(crate) struct Waiter<'a> {
    canceller: &'a Canceller,
    call: Option<(&'a Name, &'static str)>,
}

impl<'a> Waiter<'a> {
    pub(crate) fn new(canceller: &'a Canceller, name: &'a Name, operation: &'static str) -> Self {
        Self {
            canceller,
            call: Some((name, operation)),
        }
    }
}

impl<'a> From<&'a Canceller> for Waiter<'a> {
    fn from(canceller: &'a Canceller) -> Self {
        Self {
            canceller,
            call: None,
        }
    }
}

/// Makes known what a guest waits for, as long as this lives.
struct Known<'a>(&'a Canceller);

impl<'a> Known<'a> {
    fn new(waiter: Waiter<'a>) -> Self {
        let waiting = waiter.call.map(|(name, operation)| Waiting {
            name: name.clone(),
            operation,
            since: std::time::Instant::now(),
        });
        *waiter.canceller.lock() = waiting;
        Self(waiter.canceller)
    }
}

impl Drop for Known<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

impl Canceller {
    pub(crate) fn new() -> Self {
        Self {
            cancelled: watch::Sender::new(false),
            waiting: Arc::default(),
        }
    }

    /// What the guest waits for now. None while it does not wait, or waits for a pollable.
    pub fn waiting(&self) -> Option<Waiting> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes all waits of the guest, current and later ones, fail with `cancelled`.
    /// They have consumed nothing. Calls that need not wait go on working.
    pub fn cancel(&self) {
        self.cancelled.send_replace(true);
    }

    async fn cancelled(&self) {
        let mut receiver = self.cancelled.subscribe();
        // Fails only when the sender is gone, and `self` is one.
        let _ = receiver.wait_for(|&cancelled| cancelled).await;
    }

    fn is_cancelled(&self) -> bool {
        *self.cancelled.borrow()
    }
}

/// Runs the parked part of a wait until it is done, the time is over, or somebody
/// cancels it.
async fn limited<T>(
    wait: impl Future<Output = sys::Result<T>>,
    deadline: Deadline,
    waiter: Waiter<'_>,
) -> sys::Result<T> {
    let _known = Known::new(waiter);
    let elapsed = async {
        match deadline {
            Deadline::Never => std::future::pending().await,
            Deadline::At(end) => tokio::time::sleep_until(end).await,
        }
    };
    tokio::select! {
        // In this order: what can be had at the last moment is had.
        biased;
        done = wait => done,
        () = waiter.canceller.cancelled() => Err(Errno::ECANCELED),
        () = elapsed => Err(Errno::ETIMEDOUT),
    }
}

/// What a call does about waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WaitMode {
    /// Fail with `busy` at once.
    None,
    /// Wait until then.
    Until(Deadline),
}

impl WaitMode {
    /// From the `timeout` parameter of the WIT functions.
    pub(crate) fn new(timeout: Option<u64>) -> Self {
        match timeout {
            Some(0) => Self::None,
            Some(nanoseconds) => Self::Until(Deadline::after(nanoseconds)),
            None => Self::Until(Deadline::Never),
        }
    }
}

/// The pause between two looks of a guest that waits in slices.
struct Backoff(Duration);

impl Backoff {
    const FIRST: Duration = Duration::from_micros(100);
    const LONGEST: Duration = Duration::from_millis(5);

    fn new() -> Self {
        Self(Self::FIRST)
    }

    async fn pause(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(Self::LONGEST);
    }
}
