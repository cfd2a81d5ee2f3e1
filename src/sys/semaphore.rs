//! Named semaphores: `sem_open` and its family.
//!
//! References: POSIX `<semaphore.h>`, Linux `sem_overview(7)`.

use super::guard::Guard;
use super::{Errno, Identity, Result, TRUNCATED, c_name, check, last_errno};
use rustix::fs::{FileType, Mode, OFlags};
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

/// The bytes of a semaphore.
pub(crate) const SIZE: u64 = size_of::<libc::sem_t>() as u64;

/// An open named semaphore, closed on drop.
pub(crate) struct Semaphore {
    raw: NonNull<libc::sem_t>,
    /// The C library keeps the mapping; a peer may shrink the file behind it.
    guard: Guard,
    mode: u32,
    identity: Identity,
}

// SAFETY: POSIX semaphores are made for being used by several threads at once.
unsafe impl Send for Semaphore {}
// SAFETY: as above.
unsafe impl Sync for Semaphore {}

impl Semaphore {
    /// Opens an existing semaphore: `sem_open(name, 0)`.
    pub(crate) fn open(name: &str) -> Result<Self> {
        let (mode, identity) = inspect(name)?;
        let c_name = c_name(name)?;
        // SAFETY: the name is a C string.
        let raw = unsafe { libc::sem_open(c_name.as_ptr(), 0) };
        Self::from_raw(raw, mode, Some(identity))
    }

    /// Creates a semaphore that must not exist:
    /// `sem_open(name, O_CREAT | O_EXCL, mode, value)`.
    pub(crate) fn create(name: &str, mode: u32, value: u32) -> Result<Self> {
        let c_name = c_name(name)?;
        let flags = libc::O_CREAT | libc::O_EXCL;
        let mode = mode & 0o777;
        // SAFETY: the name is a C string; mode and value are what `O_CREAT` asks for.
        let raw = unsafe { libc::sem_open(c_name.as_ptr(), flags, mode, value) };
        Self::from_raw(raw, mode, None)
    }

    /// With no identity given, it is read from the mapping: the name of a semaphore
    /// that was created a moment ago may already lead to another one.
    fn from_raw(raw: *mut libc::sem_t, mode: u32, identity: Option<Identity>) -> Result<Self> {
        if raw == libc::SEM_FAILED {
            return Err(last_errno());
        }
        let raw = NonNull::new(raw).ok_or(Errno::INVAL)?;
        // SAFETY: the C library keeps the semaphore mapped until `sem_close`, which
        // only `drop` calls, after the guard is gone. Zeros are a valid semaphore.
        let guard = unsafe { Guard::new(raw.as_ptr().cast(), size_of::<libc::sem_t>()) };
        let address = raw.as_ptr() as usize;
        let identity = identity
            .or_else(|| Identity::mapped_at(address))
            .ok_or(Errno::NOSYS);
        match identity {
            Ok(identity) => Ok(Self {
                raw,
                guard,
                mode,
                identity,
            }),
            Err(errno) => {
                drop(guard);
                close(raw);
                Err(errno)
            }
        }
    }

    /// The permission bits when it was opened, or that it was created with.
    pub(crate) fn mode(&self) -> u32 {
        self.mode
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    /// Opens the file behind the semaphore, which is found by its name: `Errno::NOENT`
    /// if that is gone or leads to another one by now.
    pub(crate) fn reopen(&self, name: &str) -> Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let descriptor = rustix::fs::open(file(name), flags, Mode::empty())?;
        match Identity::of(&rustix::fs::fstat(&descriptor)?) == self.identity {
            true => Ok(descriptor),
            false => Err(Errno::NOENT),
        }
    }

    /// `sem_getvalue`.
    pub(crate) fn value(&self) -> Result<u32> {
        let mut value = 0;
        // SAFETY: the semaphore is open and `value` is writable.
        self.whole(check(unsafe {
            libc::sem_getvalue(self.raw.as_ptr(), &mut value)
        }))?;
        Ok(value.max(0) as u32)
    }

    /// `sem_trywait`; `Errno::AGAIN` if the value is 0.
    pub(crate) fn try_acquire(&self) -> Result<()> {
        // SAFETY: the semaphore is open.
        self.whole(check(unsafe { libc::sem_trywait(self.raw.as_ptr()) }))
    }

    /// `sem_clockwait` on the monotonic clock; blocks this thread for up to
    /// `limit`, then `Errno::TIMEDOUT`. An interrupted wait goes on.
    pub(crate) fn acquire_within(&self, limit: Duration) -> Result<()> {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let end = Duration::new(now.tv_sec as u64, now.tv_nsec as u32).saturating_add(limit);
        let end = libc::timespec {
            tv_sec: libc::time_t::try_from(end.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: end.subsec_nanos().into(),
        };
        loop {
            // SAFETY: the semaphore is open and the time a valid one.
            let result = unsafe { sem_clockwait(self.raw.as_ptr(), libc::CLOCK_MONOTONIC, &end) };
            match self.whole(check(result)) {
                Err(Errno::INTR) => {}
                done => return done,
            }
        }
    }

    /// `sem_post`.
    pub(crate) fn release(&self) -> Result<()> {
        // SAFETY: the semaphore is open.
        self.whole(check(unsafe { libc::sem_post(self.raw.as_ptr()) }))
    }

    /// The result of a call on the semaphore, unless a peer has shrunk the file:
    /// then the call worked on nothing that anybody shares.
    fn whole(&self, result: Result<libc::c_int>) -> Result<()> {
        if self.guard.faulted() {
            Err(TRUNCATED)
        } else {
            result.map(|_| ())
        }
    }

    /// The word that the C library waits on. Only for [`super::futex`], and only
    /// after its check of the layout.
    pub(super) fn value_word(&self) -> &AtomicU32 {
        // SAFETY: a `sem_t` is at least 32 bytes, aligned to 8, and stays mapped as
        // long as `self`. All accesses of all parties to it are atomic.
        unsafe { AtomicU32::from_ptr(self.raw.as_ptr().cast()) }
    }

    /// Value and number of waiters as one word, see [`Self::value_word`].
    pub(super) fn state_word(&self) -> &AtomicU64 {
        // SAFETY: as for `value_word`.
        unsafe { AtomicU64::from_ptr(self.raw.as_ptr().cast()) }
    }
}

impl Drop for Semaphore {
    fn drop(&mut self) {
        close(self.raw);
    }
}

fn close(raw: NonNull<libc::sem_t>) {
    // SAFETY: the semaphore was opened by `sem_open` and is not used after this.
    unsafe { libc::sem_close(raw.as_ptr()) };
}

/// `sem_unlink`.
pub(crate) fn unlink(name: &str) -> Result<()> {
    let name = c_name(name)?;
    // SAFETY: the name is a C string.
    check(unsafe { libc::sem_unlink(name.as_ptr()) }).map(|_| ())
}

/// The object that a name leads to now.
pub(crate) fn identify(name: &str) -> Result<Identity> {
    inspect(name).map(|(_, identity)| identity)
}

/// Looks at the file behind a semaphore. The C library maps it without a look at
/// its size, and then faults at the first use of one that is too small.
fn inspect(name: &str) -> Result<(u32, Identity)> {
    let stat = rustix::fs::lstat(file(name))?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if !is_file || (stat.st_size as u64) < size_of::<libc::sem_t>() as u64 {
        return Err(Errno::INVAL);
    }
    Ok((
        Mode::from_raw_mode(stat.st_mode).as_raw_mode() & 0o777,
        Identity::of(&stat),
    ))
}

/// Where glibc keeps a semaphore: shared memory with a prefixed name.
fn file(name: &str) -> String {
    format!("/dev/shm/sem.{}", name.trim_start_matches('/'))
}

unsafe extern "C" {
    /// In glibc since 2.30, in the next POSIX, not yet in the `libc` crate.
    fn sem_clockwait(
        sem: *mut libc::sem_t,
        clock: libc::clockid_t,
        end: *const libc::timespec,
    ) -> libc::c_int;
}
