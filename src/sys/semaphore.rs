//! Named semaphores: `sem_open` and its family.
//!
//! References: POSIX `<semaphore.h>`, Linux `sem_overview(7)`.

use super::memory_file::{self, MemoryFile, SEMAPHORE_PREFIX};
use super::sigbus::Guard;
use super::{Errno, Identity, Result, TRUNCATED, c_name, check, futex, last_errno, retry_on_intr};
use rustix::fs::{FileType, Mode, OFlags};
use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// The bytes of a semaphore.
pub(crate) const SIZE: u64 = size_of::<libc::sem_t>() as u64;

/// An open named semaphore, closed on drop.
pub(crate) struct Semaphore {
    raw: NonNull<libc::sem_t>,
    /// The C library keeps the mapping; a peer may shrink the file behind it.
    guard: ManuallyDrop<Guard>,
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
        // The call does not say which object it has opened. If the name leads to the
        // same one before and after, it was that one.
        const MOST_TRIES: usize = 100;
        for _ in 0..MOST_TRIES {
            let before = inspect(name)?;
            let this = Self::attach(name, before)?;
            if inspect(name).is_ok_and(|after| after == before) {
                return Ok(this);
            }
        }
        Err(Errno::NOENT)
    }

    /// Creates a semaphore that must not exist. `created` is told which object it is
    /// before it has its name.
    pub(crate) fn create(
        name: &str,
        mode: u32,
        value: u32,
        created: impl FnOnce(Identity),
    ) -> Result<Self> {
        let file = MemoryFile::new(mode)?;
        let image = initial(value)?;
        if rustix::io::pwrite(&file.descriptor, &image, 0)? != image.len() {
            return Err(Errno::NOSPC);
        }
        // `sem_open` opens what it creates whatever the mode says; here it opens what is
        // there, and has to be allowed to.
        const OPENS: u32 = 0o600;
        let opens = Mode::from_raw_mode(file.mode | OPENS);
        if file.mode & OPENS != OPENS {
            rustix::fs::fchmod(&file.descriptor, opens)?;
        }
        created(file.identity);
        file.publish(&file_name(name))?;
        let this = Self::attach_published(name, &file);
        if this.is_err() && identify(name) == Ok(file.identity) {
            let _ = unlink(name);
        }
        this
    }

    fn attach_published(name: &str, file: &MemoryFile) -> Result<Self> {
        let this = Self::attach(name, (file.mode, file.identity))?;
        rustix::fs::fchmod(&file.descriptor, Mode::from_raw_mode(file.mode))?;
        // A peer can have put another one in its place already. Then ours is gone.
        match Identity::mapped_at(this.raw.as_ptr() as usize) {
            Some(identity) if identity == file.identity => Ok(this),
            Some(_) => Err(Errno::EXIST),
            None => Err(Errno::NOSYS),
        }
    }

    fn attach(name: &str, (mode, identity): (u32, Identity)) -> Result<Self> {
        let name = c_name(name)?;
        let _table = table();
        // SAFETY: the name is a C string.
        let raw = unsafe { libc::sem_open(name.as_ptr(), 0) };
        if raw == libc::SEM_FAILED {
            return Err(last_errno());
        }
        let raw = NonNull::new(raw).ok_or(Errno::INVAL)?;
        // SAFETY: the C library keeps the semaphore mapped until `sem_close`, which
        // only `drop` calls, after the guard is gone. Zeros are a valid semaphore.
        let guard = unsafe { Guard::new(raw.as_ptr().cast(), size_of::<libc::sem_t>()) };
        Ok(Self {
            raw,
            guard: ManuallyDrop::new(guard),
            mode,
            identity,
        })
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
        let descriptor =
            rustix::fs::open(memory_file::path(&file_name(name)), flags, Mode::empty())?;
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

    /// Waits as a native program does.
    #[cfg(test)]
    pub(crate) fn wait_in_library(&self, limit: Duration) -> Result<()> {
        // SAFETY: the semaphore is open.
        self.whole(unsafe { wait_in_library(self.raw.as_ptr(), limit) })
    }

    /// Does what else the first [`release`](Self::release) of a process takes, which is long
    /// beside the release itself.
    pub(crate) fn prepare_release() {
        futex::semaphore_layout_is_known();
    }

    /// What `sem_post` does, and the C library's own only where its semaphores are not
    /// known: it ends the process when what a peer has written into the semaphore makes
    /// the system call in it fail.
    pub(crate) fn release(&self) -> Result<()> {
        match futex::post(self) {
            Some(posted) => self.whole(posted),
            None => self.release_in_library(),
        }
    }

    /// `sem_post`.
    fn release_in_library(&self) -> Result<()> {
        // SAFETY: the semaphore is open.
        self.whole(check(unsafe { libc::sem_post(self.raw.as_ptr()) }))
    }

    /// The result of a call on the semaphore, unless a peer has shrunk the file:
    /// then the call worked on nothing that anybody shares.
    fn whole<T>(&self, result: Result<T>) -> Result<()> {
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
        let _table = table();
        // SAFETY: the semaphore was opened by `sem_open` and is not used after this,
        // and neither is the guard.
        unsafe {
            ManuallyDrop::drop(&mut self.guard);
            libc::sem_close(self.raw.as_ptr());
        }
    }
}

/// A semaphore without a name, for no one but this process: for a look at how the C
/// library keeps one.
pub(super) struct Sample(Box<UnsafeCell<libc::sem_t>>);

// SAFETY: POSIX semaphores are made for being used by several threads at once.
unsafe impl Sync for Sample {}

impl Sample {
    /// `sem_init`, as for sharing it between processes.
    pub(super) fn new(value: u32) -> Result<Self> {
        // SAFETY: a `sem_t` is plain data, for which zero is valid.
        let this = Self(Box::new(UnsafeCell::new(unsafe { std::mem::zeroed() })));
        // SAFETY: it has its place for as long as it lives.
        check(unsafe { libc::sem_init(this.0.get(), SHARED, value) }).map(|_| this)
    }

    /// Its first 64 bits.
    pub(super) fn state(&self) -> u64 {
        // SAFETY: a `sem_t` is at least 32 bytes, aligned to 8, and accessed by atomics.
        unsafe { AtomicU64::from_ptr(self.0.get().cast()) }.load(Ordering::SeqCst)
    }

    /// `sem_trywait`.
    pub(super) fn try_acquire(&self) -> Result<()> {
        // SAFETY: the semaphore is initialized.
        check(unsafe { libc::sem_trywait(self.0.get()) }).map(|_| ())
    }

    /// `sem_clockwait` for up to `limit`.
    pub(super) fn acquire_within(&self, limit: Duration) -> Result<()> {
        // SAFETY: the semaphore is initialized.
        unsafe { wait_in_library(self.0.get(), limit) }.map(|_| ())
    }

    /// `sem_post`.
    pub(super) fn release(&self) -> Result<()> {
        // SAFETY: the semaphore is initialized.
        check(unsafe { libc::sem_post(self.0.get()) }).map(|_| ())
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        // SAFETY: the semaphore is initialized, and nobody can be waiting for it.
        unsafe { libc::sem_destroy(self.0.get()) };
    }
}

/// `sem_clockwait` on the monotonic clock; blocks this thread for up to `limit`, then
/// `Errno::TIMEDOUT`. An interrupted wait goes on.
///
/// Only for semaphores that no peer can reach: if one shrinks the file while the C
/// library waits, the C library ends the process.
///
/// # Safety
///
/// The semaphore must be initialized or open.
unsafe fn wait_in_library(semaphore: *mut libc::sem_t, limit: Duration) -> Result<libc::c_int> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let end = Duration::new(now.tv_sec as u64, now.tv_nsec as u32).saturating_add(limit);
    let end = libc::timespec {
        tv_sec: libc::time_t::try_from(end.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: end.subsec_nanos().into(),
    };
    // SAFETY: the caller has seen to the semaphore, and the time is a valid one.
    let wait = || check(unsafe { sem_clockwait(semaphore, libc::CLOCK_MONOTONIC, &end) });
    retry_on_intr(wait)
}

/// For `sem_init`.
const SHARED: libc::c_int = 1;

/// Held while the C library's table of open semaphores changes and our guards with it:
/// it gives the mapping that it has to whoever opens a semaphore again, also one that
/// has faulted, and the guards are what tells.
fn table() -> MutexGuard<'static, ()> {
    static TABLE: Mutex<()> = Mutex::new(());
    TABLE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// What the file of a new semaphore holds.
fn initial(value: u32) -> Result<[u8; size_of::<libc::sem_t>()]> {
    let mut image = [0; size_of::<libc::sem_t>()];
    // SAFETY: a `sem_t` is plain data, for which zero is valid; it is copied out
    // before anybody uses it.
    unsafe {
        let mut semaphore: libc::sem_t = std::mem::zeroed();
        check(libc::sem_init(&mut semaphore, SHARED, value))?;
        let bytes = std::ptr::from_ref(&semaphore).cast::<u8>();
        std::ptr::copy_nonoverlapping(bytes, image.as_mut_ptr(), image.len());
    }
    Ok(image)
}

/// `sem_unlink`.
pub(crate) fn unlink(name: &str) -> Result<()> {
    let name = c_name(name)?;
    // SAFETY: the name is a C string.
    check(unsafe { libc::sem_unlink(name.as_ptr()) }).map(|_| ())
}

/// The object that a name leads to now.
pub(crate) fn identify(name: &str) -> Result<Identity> {
    let stat = rustix::fs::lstat(memory_file::path(&file_name(name)))?;
    Ok(Identity::of(&stat))
}

/// Looks at the file behind a semaphore. The C library maps it without a look at
/// its size, and then faults at the first use of one that is too small.
fn inspect(name: &str) -> Result<(u32, Identity)> {
    let stat = rustix::fs::lstat(memory_file::path(&file_name(name)))?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if !is_file || (stat.st_size as u64) < size_of::<libc::sem_t>() as u64 {
        return Err(Errno::INVAL);
    }
    Ok((
        Mode::from_raw_mode(stat.st_mode).as_raw_mode() & 0o777,
        Identity::of(&stat),
    ))
}

/// How the C library calls the file of a semaphore.
fn file_name(name: &str) -> String {
    format!("{SEMAPHORE_PREFIX}{}", name.trim_start_matches('/'))
}

unsafe extern "C" {
    /// In glibc since 2.30, in the next POSIX, not yet in the `libc` crate.
    fn sem_clockwait(
        sem: *mut libc::sem_t,
        clock: libc::clockid_t,
        end: *const libc::timespec,
    ) -> libc::c_int;
}
