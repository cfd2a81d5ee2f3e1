//! How the C library keeps a semaphore: the value in the lower and the number of waiters in
//! the upper half of the first 64 bits of a `sem_t`, as glibc does since 2.21. Tried out on
//! a semaphore of our own.
//!
//! References: POSIX `<semaphore.h>`, the layout of `sem_t` in glibc
//! (`nptl/sem_waitcommon.c`).

use super::{Errno, Result, retry_on_intr};
use nix::time::{ClockId, clock_gettime};
use std::cell::UnsafeCell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// One waiter in the upper half.
pub(super) const ONE_WAITER: u64 = 1 << 32;

/// Whether it is kept so. Tried out once in a process; as long as that is not possible, the
/// answer is no.
pub(super) fn is_known() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    if let Some(&answer) = ANSWER.get() {
        return answer;
    }
    match try_out() {
        Some(answer) => *ANSWER.get_or_init(|| answer),
        // Not known now, and perhaps the next time.
        None => false,
    }
}

/// None if it cannot be tried out, because the system has no room for a thread.
fn try_out() -> Option<bool> {
    let Ok(semaphore) = Sample::new(3) else {
        return Some(false);
    };
    if semaphore.state() != 3 {
        return Some(false);
    }
    if (0..3).any(|_| semaphore.try_acquire().is_err()) || semaphore.state() != 0 {
        return Some(false);
    }
    // A waiter of the C library must show, and be gone when it has been posted to.
    thread::scope(|scope| {
        let wait = || semaphore.acquire_within(Duration::from_secs(5));
        let waiter = thread::Builder::new().spawn_scoped(scope, wait).ok()?;
        let end = Instant::now() + Duration::from_secs(2);
        while semaphore.state() != ONE_WAITER && Instant::now() < end {
            thread::yield_now();
        }
        let seen = semaphore.state() == ONE_WAITER;
        let posted = semaphore.release();
        let woken = waiter.join();
        Some(seen && posted.is_ok() && matches!(woken, Ok(Ok(()))) && semaphore.state() == 0)
    })
}

/// What the file of a new semaphore holds.
pub(super) fn initial(value: u32) -> Result<[u8; size_of::<libc::sem_t>()]> {
    let mut image = [0; size_of::<libc::sem_t>()];
    // SAFETY: a `sem_t` is plain data, for which zero is valid; it is copied out
    // before anybody uses it.
    unsafe {
        let mut semaphore: libc::sem_t = std::mem::zeroed();
        Errno::result(libc::sem_init(&mut semaphore, SHARED, value))?;
        let bytes = std::ptr::from_ref(&semaphore).cast::<u8>();
        std::ptr::copy_nonoverlapping(bytes, image.as_mut_ptr(), image.len());
    }
    Ok(image)
}

/// For `sem_init`.
const SHARED: libc::c_int = 1;

/// A semaphore without a name, for no one but this process.
struct Sample(Box<UnsafeCell<libc::sem_t>>);

// SAFETY: POSIX semaphores are made for being used by several threads at once.
unsafe impl Sync for Sample {}

impl Sample {
    /// `sem_init`, as for sharing it between processes.
    fn new(value: u32) -> Result<Self> {
        // SAFETY: a `sem_t` is plain data, for which zero is valid.
        let this = Self(Box::new(UnsafeCell::new(unsafe { std::mem::zeroed() })));
        // SAFETY: it has its place for as long as it lives.
        Errno::result(unsafe { libc::sem_init(this.0.get(), SHARED, value) }).map(|_| this)
    }

    /// Its first 64 bits.
    fn state(&self) -> u64 {
        // SAFETY: a `sem_t` is at least 32 bytes, aligned to 8, and accessed by atomics.
        unsafe { AtomicU64::from_ptr(self.0.get().cast()) }.load(Ordering::SeqCst)
    }

    /// `sem_trywait`.
    fn try_acquire(&self) -> Result<()> {
        // SAFETY: the semaphore is initialized.
        Errno::result(unsafe { libc::sem_trywait(self.0.get()) }).map(drop)
    }

    /// `sem_clockwait` for up to `limit`.
    fn acquire_within(&self, limit: Duration) -> Result<()> {
        // SAFETY: the semaphore is initialized.
        unsafe { wait_in_library(self.0.get(), limit) }
    }

    /// `sem_post`.
    fn release(&self) -> Result<()> {
        // SAFETY: the semaphore is initialized.
        Errno::result(unsafe { libc::sem_post(self.0.get()) }).map(drop)
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        // SAFETY: the semaphore is initialized, and nobody can be waiting for it.
        unsafe { libc::sem_destroy(self.0.get()) };
    }
}

/// `sem_clockwait` on the monotonic clock; blocks this thread for up to `limit`, then
/// `Errno::ETIMEDOUT`. An interrupted wait goes on.
///
/// Only for semaphores that no peer can reach: if one shrinks the file while the C
/// library waits, the C library ends the process.
///
/// # Safety
///
/// The semaphore must be initialized or open.
pub(super) unsafe fn wait_in_library(semaphore: *mut libc::sem_t, limit: Duration) -> Result<()> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    let end = Duration::from(now).saturating_add(limit);
    let end = libc::timespec {
        tv_sec: libc::time_t::try_from(end.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: end.subsec_nanos().into(),
    };
    let clock = libc::CLOCK_MONOTONIC;
    // SAFETY: the caller has seen to the semaphore, and the time is a valid one.
    let wait = || Errno::result(unsafe { sem_clockwait(semaphore, clock, &end) });
    retry_on_intr(wait).map(drop)
}

unsafe extern "C" {
    /// In glibc since 2.30, in the next POSIX, not yet in the `libc` crate.
    fn sem_clockwait(
        sem: *mut libc::sem_t,
        clock: libc::clockid_t,
        end: *const libc::timespec,
    ) -> libc::c_int;
}
