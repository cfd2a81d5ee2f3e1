//! Named semaphores: `sem_open` and its family.
//!
//! References: POSIX `<semaphore.h>`, Linux `sem_overview(7)`.

use super::memory_file::{self, MemoryFile};
use super::sem_layout::{self, ONE_WAITER};
use super::sigbus::{self, Guard};
use super::{Errno, Identity, Result, TRUNCATED, futex, limits, permissions};
use crate::name::Name;
use nix::fcntl::OFlag;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::uio::pwrite;
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

/// The bytes of a semaphore.
pub(crate) const SIZE: u64 = BYTES.get() as u64;

const BYTES: NonZeroUsize = NonZeroUsize::new(size_of::<libc::sem_t>()).unwrap();

/// An open named semaphore, closed on drop.
///
/// It is opened and mapped here and not by `sem_open`, which waits for a peer that has
/// leased the file, for 45 seconds, and does not say which object it has opened.
pub(crate) struct Semaphore {
    raw: NonNull<libc::sem_t>,
    mapping: Arc<Mapping>,
    mode: u32,
}

// SAFETY: POSIX semaphores are made for being used by several threads at once.
unsafe impl Send for Semaphore {}
// SAFETY: as above.
unsafe impl Sync for Semaphore {}

impl Semaphore {
    /// Opens an existing semaphore, as `sem_open(name, 0)` does; `Errno::EAGAIN` if a peer
    /// has leased it.
    pub(crate) fn open(name: &Name) -> Result<Self> {
        let path = memory_file::semaphore(name);
        let (descriptor, stat) = memory_file::open_existing(&path, OFlag::O_RDWR)?;
        // A use of one that is too small would fault.
        if stat.st_size < SIZE as i64 {
            return Err(Errno::EINVAL);
        }
        Self::map(descriptor, Identity::of(&stat), permissions(&stat))
    }

    /// Creates a semaphore that must not exist. `created` is told which object it is
    /// before it has its name.
    pub(crate) fn create(
        name: &Name,
        bits: u32,
        value: u32,
        created: impl FnOnce(Identity),
    ) -> Result<Self> {
        let path = memory_file::semaphore(name);
        let file = MemoryFile::new(bits)?;
        let image = sem_layout::initial(value)?;
        if pwrite(&file.descriptor, &image, 0)? != image.len() {
            return Err(Errno::ENOSPC);
        }
        let this = Self::map(&file.descriptor, file.identity, file.mode)?;
        created(file.identity);
        file.publish(&path)?;
        Ok(this)
    }

    /// All of a process that have the same semaphore open share its mapping, so that those
    /// who wait for it can be told from those who wait for another by the address.
    fn map(descriptor: impl AsFd, identity: Identity, mode: u32) -> Result<Self> {
        let mut mappings = mappings();
        // One that has faulted no longer shows the semaphore.
        let known = mappings.get(&identity).and_then(Weak::upgrade);
        let known = known.filter(|mapping| !mapping.guard.faulted());
        let mapping = match known {
            Some(mapping) => mapping,
            None => {
                let mapping = Arc::new(Mapping::new(descriptor, identity)?);
                mappings.insert(identity, Arc::downgrade(&mapping));
                mapping
            }
        };
        Ok(Self {
            raw: mapping.start,
            mapping,
            mode,
        })
    }

    /// The permission bits when it was opened, or that it was created with.
    pub(crate) fn mode(&self) -> u32 {
        self.mode
    }

    pub(crate) fn identity(&self) -> Identity {
        self.mapping.identity
    }

    /// Opens the file behind the semaphore, which is found by its name: `Errno::ENOENT`
    /// if that is gone or leads to another one by now.
    pub(crate) fn reopen(&self, name: &Name) -> Result<OwnedFd> {
        let path = memory_file::semaphore(name);
        let (descriptor, stat) = memory_file::open_existing(&path, OFlag::O_RDWR)?;
        match Identity::of(&stat) == self.identity() {
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
        if self.mapping.guard.faulted() {
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

/// The page that a semaphore is in. A peer may shrink the file behind it.
struct Mapping {
    start: NonNull<libc::sem_t>,
    guard: ManuallyDrop<Guard>,
    identity: Identity,
}

// SAFETY: as for `Semaphore`.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(descriptor: impl AsFd, identity: Identity) -> Result<Self> {
        sigbus::prepare()?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice. The guard goes before
        // it, and zeros are a valid semaphore.
        unsafe {
            let start = mmap(None, BYTES, access, MapFlags::MAP_SHARED, descriptor, 0)?;
            Ok(Self {
                start: start.cast(),
                guard: ManuallyDrop::new(Guard::new(start.as_ptr(), BYTES.get())),
                identity,
            })
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let mut mappings = mappings();
        // Another one may be in its place by now.
        let is_gone = |mapping: &Weak<Mapping>| mapping.strong_count() == 0;
        if mappings.get(&self.identity).is_some_and(is_gone) {
            mappings.remove(&self.identity);
        }
        // SAFETY: nothing refers to the mapping any more, and its guard goes first.
        unsafe {
            ManuallyDrop::drop(&mut self.guard);
            let _ = munmap(self.start.cast(), BYTES.get());
        }
    }
}

/// The semaphores that this process has open.
fn mappings() -> MutexGuard<'static, HashMap<Identity, Weak<Mapping>>> {
    static MAPPINGS: LazyLock<Mutex<HashMap<Identity, Weak<Mapping>>>> =
        LazyLock::new(Mutex::default);
    MAPPINGS
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Whether it is known how the C library keeps a semaphore.
pub(crate) fn layout_is_known() -> bool {
    sem_layout::is_known()
}

/// `sem_unlink`.
pub(crate) fn unlink(name: &Name) -> Result<()> {
    nix::unistd::unlink(memory_file::semaphore(name).as_str())
}

/// The object that a name leads to now.
pub(crate) fn identify(name: &Name) -> Result<Identity> {
    memory_file::identify(&memory_file::semaphore(name))
}
