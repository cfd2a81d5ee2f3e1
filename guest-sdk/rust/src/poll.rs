use std::time::Duration;

use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wasi::io::poll as raw;
use crate::time::nanoseconds;

/// Something to wait for: it is ready, or will be.
///
/// It comes from an object's `subscribe` methods, and may outlive the handle that it came
/// from. It may be used any number of times: it is ready whenever its condition holds.
///
/// This is `pollable` of `wasi:io/poll`.
#[derive(Debug)]
#[must_use = "nothing is waited for until `block` or `poll` is called"]
pub struct Pollable {
    raw: raw::Pollable,
}

impl Pollable {
    pub(crate) fn new(raw: raw::Pollable) -> Self {
        Self { raw }
    }

    /// A timer: it is ready once this long has passed, from now on.
    pub fn after(duration: Duration) -> Self {
        Self::new(monotonic_clock::subscribe_duration(nanoseconds(duration)))
    }

    /// Whether it is ready now. Does not wait.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.raw.ready()
    }

    /// Waits until it is ready.
    pub fn block(&self) {
        self.raw.block();
    }

    /// Gives up the component's handle, to be used by other bindings of `wasi:io/poll`,
    /// for example together with a pollable of a clock.
    #[must_use = "the handle leaks"]
    pub fn into_handle(self) -> u32 {
        self.raw.take_handle()
    }

    /// Takes over a handle of other bindings of `wasi:io/poll`, so that [`poll`] can wait
    /// for it too.
    ///
    /// # Safety
    ///
    /// `handle` is a `pollable` that this component owns, and that nothing else will use or
    /// drop.
    #[allow(unsafe_code)]
    pub unsafe fn from_handle(handle: u32) -> Self {
        // SAFETY: the caller vouches for the handle.
        Self::new(unsafe { raw::Pollable::from_handle(handle) })
    }
}

/// Waits until at least one is ready, and returns the indices of those that are. Similar
/// to `poll` in POSIX, without a timeout.
///
/// # Panics
///
/// Panics if `pollables` is empty, as that wait would never end.
#[must_use = "only the indices tell which are ready"]
pub fn poll(pollables: &[&Pollable]) -> Vec<usize> {
    assert!(!pollables.is_empty(), "nothing to poll");
    let raw: Vec<_> = pollables.iter().map(|pollable| &pollable.raw).collect();
    let ready = raw::poll(&raw);
    ready.into_iter().map(|index| index as usize).collect()
}

/// As [`poll`], at most for this long; the indices are none if the time elapsed first.
/// Similar to `poll` in POSIX.
///
/// ```no_run
/// # use posix_ipc_guest::{Access, Queue, Semaphore, poll_timeout};
/// # use std::time::Duration;
/// # fn main() -> posix_ipc_guest::Result<()> {
/// let (jobs, stop) = (Queue::open("/jobs", Access::Read)?, Semaphore::open("/stop")?);
/// let (job, stopped) = (jobs.subscribe_readable()?, stop.subscribe()?);
/// match poll_timeout(&[&job, &stopped], Duration::from_secs(5))[..] {
///     [] => println!("nothing for five seconds"),
///     [0, ..] => println!("{:?}", jobs.try_receive()?),
///     _ => println!("stopped"),
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "only the indices tell which are ready"]
pub fn poll_timeout(pollables: &[&Pollable], timeout: Duration) -> Vec<usize> {
    let timer = Pollable::after(timeout);
    let all: Vec<_> = pollables.iter().copied().chain([&timer]).collect();
    let mut ready = poll(&all);
    ready.retain(|&index| index < pollables.len());
    ready
}
