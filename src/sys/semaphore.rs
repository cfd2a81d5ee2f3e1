//! Named semaphores: `sem_open` and its family.
//!
//! References: POSIX `<semaphore.h>`, Linux `sem_overview(7)`.

use super::memory_file::{self, MemoryFile, SEMAPHORE_PREFIX};
use super::sem_layout::{self, ONE_WAITER};
use super::sigbus::Guard;
use super::{Errno, Identity, Result, TRUNCATED};
use super::{c_name, file_type, futex, limits, mode, permissions};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, lstat};
use nix::sys::uio::pwrite;
use std::mem::ManuallyDrop;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

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
        Err(Errno::ENOENT)
    }

    /// Creates a semaphore that must not exist. `created` is told which object it is
    /// before it has its name.
    pub(crate) fn create(
        name: &str,
        bits: u32,
        value: u32,
        created: impl FnOnce(Identity),
    ) -> Result<Self> {
        let file = MemoryFile::new(bits)?;
        let image = sem_layout::initial(value)?;
        if pwrite(&file.descriptor, &image, 0)? != image.len() {
            return Err(Errno::ENOSPC);
        }
        // `sem_open` opens what it creates whatever the mode says; here it opens what is
        // there, and has to be allowed to.
        const OPENS: u32 = 0o600;
        if file.mode & OPENS != OPENS {
            fchmod(&file.descriptor, mode(file.mode | OPENS))?;
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
        fchmod(&file.descriptor, mode(file.mode))?;
        // A peer can have put another one in its place already. Then ours is gone.
        match Identity::mapped_at(this.raw.as_ptr() as usize) {
            Some(identity) if identity == file.identity => Ok(this),
            Some(_) => Err(Errno::EEXIST),
            None => Err(Errno::ENOSYS),
        }
    }

    fn attach(name: &str, (bits, identity): (u32, Identity)) -> Result<Self> {
        let name = c_name(name)?;
        let _table = table();
        // SAFETY: the name is a C string.
        let raw = unsafe { libc::sem_open(name.as_ptr(), 0) };
        if raw == libc::SEM_FAILED {
            return Err(Errno::last());
        }
        let raw = NonNull::new(raw).ok_or(Errno::EINVAL)?;
        // SAFETY: the C library keeps the semaphore mapped until `sem_close`, which
        // only `drop` calls, after the guard is gone. Zeros are a valid semaphore.
        let guard = unsafe { Guard::new(raw.as_ptr().cast(), size_of::<libc::sem_t>()) };
        Ok(Self {
            raw,
            guard: ManuallyDrop::new(guard),
            mode: bits,
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

    /// Opens the file behind the semaphore, which is found by its name: `Errno::ENOENT`
    /// if that is gone or leads to another one by now.
    pub(crate) fn reopen(&self, name: &str) -> Result<OwnedFd> {
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let descriptor = open(path(name).as_str(), flags, Mode::empty())?;
        match Identity::of(&fstat(&descriptor)?) == self.identity {
            true => Ok(descriptor),
            false => Err(Errno::ENOENT),
        }
    }

    /// `sem_getvalue`.
    pub(crate) fn value(&self) -> Result<u32> {
        let mut value = 0;
        // SAFETY: the semaphore is open and `value` is writable.
        self.whole(Errno::result(unsafe {
            libc::sem_getvalue(self.raw.as_ptr(), &mut value)
        }))?;
        Ok(value.max(0) as u32)
    }

    /// `sem_trywait`; `Errno::EAGAIN` if the value is 0.
    pub(crate) fn try_acquire(&self) -> Result<()> {
        // SAFETY: the semaphore is open.
        self.whole(Errno::result(unsafe {
            libc::sem_trywait(self.raw.as_ptr())
        }))
    }

    /// Waits as a native program does.
    #[cfg(test)]
    pub(crate) fn wait_in_library(&self, limit: Duration) -> Result<()> {
        // SAFETY: the semaphore is open.
        self.whole(unsafe { sem_layout::wait_in_library(self.raw.as_ptr(), limit) })
    }

    /// Does what else the first [`release`](Self::release) of a process takes, which is long
    /// beside the release itself.
    pub(crate) fn prepare_release() {
        sem_layout::is_known();
    }

    /// What `sem_post` does, and the C library's own only where its semaphores are not
    /// known: it ends the process when what a peer has written into the semaphore makes
    /// the system call in it fail.
    pub(crate) fn release(&self) -> Result<()> {
        match sem_layout::is_known() {
            true => self.whole(self.post()),
            false => self.release_in_library(),
        }
    }

    /// Gives the semaphore a token and wakes a waiter, as `sem_post` of glibc does.
    /// `Errno::EOVERFLOW` at the greatest value.
    fn post(&self) -> Result<()> {
        let greatest = u64::from(limits::semaphore_value_max());
        // A peer may have written a value that is greater still. One more must not become
        // one of the waiters.
        let more = |state: u64| (state % ONE_WAITER < greatest).then(|| state + 1);
        let before = self
            .state_word()
            .fetch_update(Ordering::Release, Ordering::Relaxed, more)
            .map_err(|_| Errno::EOVERFLOW)?;
        if before >= ONE_WAITER {
            // It fails only where the object has been cut, and nobody waits there.
            let _ = futex::wake(self.value_word(), 1);
        }
        Ok(())
    }

    /// Takes the semaphore, for which it blocks this thread for up to `limit`;
    /// `Errno::ETIMEDOUT` if there is none by then, or if semaphores cannot be waited on
    /// here.
    pub(crate) fn acquire_within(&self, limit: Duration) -> Result<()> {
        if !sem_layout::is_known() {
            return Err(Errno::ETIMEDOUT);
        }
        let start = Instant::now();
        self.announce();
        let acquired = loop {
            match self.try_acquire() {
                Err(Errno::EAGAIN) => {}
                done => break done,
            }
            let left = limit.saturating_sub(start.elapsed());
            match futex::wait(self.value_word(), 0, left) {
                Ok(()) | Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(errno) => break Err(errno),
            }
        };
        self.renounce();
        acquired
    }

    /// Tells the C library's `sem_post` that there is somebody to wake. Only where the
    /// layout is known.
    pub(super) fn announce(&self) {
        self.state_word().fetch_add(ONE_WAITER, Ordering::SeqCst);
    }

    /// Takes [`Self::announce`] back.
    pub(super) fn renounce(&self) {
        self.state_word().fetch_sub(ONE_WAITER, Ordering::SeqCst);
    }

    /// How many waiters the C library's `sem_post` would see.
    #[cfg(test)]
    pub(crate) fn announced(&self) -> u64 {
        self.state_word().load(Ordering::SeqCst) / ONE_WAITER
    }

    /// `sem_post`.
    fn release_in_library(&self) -> Result<()> {
        // SAFETY: the semaphore is open.
        self.whole(Errno::result(unsafe { libc::sem_post(self.raw.as_ptr()) }))
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

    /// The word that the C library waits on, where the layout is known.
    pub(super) fn value_word(&self) -> &AtomicU32 {
        // SAFETY: a `sem_t` is at least 32 bytes, aligned to 8, and stays mapped as
        // long as `self`. All accesses of all parties to it are atomic.
        unsafe { AtomicU32::from_ptr(self.raw.as_ptr().cast()) }
    }

    /// Value and number of waiters as one word, see [`Self::value_word`].
    fn state_word(&self) -> &AtomicU64 {
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

/// Held while the C library's table of open semaphores changes and our guards with it:
/// it gives the mapping that it has to whoever opens a semaphore again, also one that
/// has faulted, and the guards are what tells.
fn table() -> MutexGuard<'static, ()> {
    static TABLE: Mutex<()> = Mutex::new(());
    TABLE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Whether it is known how the C library keeps a semaphore.
pub(super) fn layout_is_known() -> bool {
    sem_layout::is_known()
}

/// `sem_unlink`.
pub(crate) fn unlink(name: &str) -> Result<()> {
    let name = c_name(name)?;
    // SAFETY: the name is a C string.
    Errno::result(unsafe { libc::sem_unlink(name.as_ptr()) }).map(drop)
}

/// The object that a name leads to now.
pub(crate) fn identify(name: &str) -> Result<Identity> {
    lstat(path(name).as_str()).map(|stat| Identity::of(&stat))
}

/// Looks at the file behind a semaphore. The C library maps it without a look at
/// its size, and then faults at the first use of one that is too small.
fn inspect(name: &str) -> Result<(u32, Identity)> {
    let stat = lstat(path(name).as_str())?;
    let is_file = file_type(&stat) == SFlag::S_IFREG;
    if !is_file || (stat.st_size as u64) < size_of::<libc::sem_t>() as u64 {
        return Err(Errno::EINVAL);
    }
    Ok((permissions(&stat), Identity::of(&stat)))
}

fn path(name: &str) -> String {
    memory_file::path(&file_name(name))
}

/// How the C library calls the file of a semaphore.
fn file_name(name: &str) -> String {
    format!("{SEMAPHORE_PREFIX}{}", name.trim_start_matches('/'))
}
