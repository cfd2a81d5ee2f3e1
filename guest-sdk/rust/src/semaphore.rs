use std::mem;
use std::time::Duration;

use crate::bindings::posix::ipc::semaphore as raw;
#[cfg(feature = "direct")]
use crate::direct;
use crate::mapping::PROBE;
use crate::options::{Create, DEFAULT_MODE};
use crate::time::{nanoseconds, timed_out};
use crate::{Access, Error, Mapping, Pollable, Result};

#[cfg(feature = "atomics")]
mod page;

/// A named counting semaphore, shared with native programs.
///
/// Its value counts what is there to take: [acquiring](Self::acquire) takes one and waits
/// while there is none, [releasing](Self::release) gives one back. With an initial value
/// of 1 it serves as a lock, for which there are [guards](Self::lock).
///
/// Dropping it closes it, similar to `sem_close` in POSIX. Whatever was acquired and not
/// released stays taken, unless the host was told to give it back.
#[derive(Debug)]
pub struct Semaphore {
    raw: raw::Semaphore,
    /// The semaphore itself, if it is mapped. Otherwise, and for what takes more than a
    /// change of its value, there is the host.
    #[cfg(feature = "atomics")]
    page: Option<page::Page>,
    /// For calls without the handle.
    #[cfg(feature = "direct")]
    number: u32,
}

impl Semaphore {
    /// Opens a semaphore that exists. Similar to `sem_open` in POSIX.
    ///
    /// # Errors
    ///
    /// [`NoEntry`](crate::ErrorKind::NoEntry) if it does not exist,
    /// [`NotPermitted`](crate::ErrorKind::NotPermitted) if the host has not granted it.
    pub fn open(name: &str) -> Result<Self> {
        Self::options().open(name)
    }

    /// Creates a semaphore that does not exist yet, with this value. Similar to `sem_open`
    /// in POSIX with `O_CREAT` and `O_EXCL`.
    ///
    /// # Errors
    ///
    /// [`Exists`](crate::ErrorKind::Exists) if there is one,
    /// [`NotPermitted`](crate::ErrorKind::NotPermitted) if the host does not let the guest create
    /// it.
    pub fn create_new(name: &str, value: u32) -> Result<Self> {
        Self::options().create_new(true).value(value).open(name)
    }

    /// Options for every other way to open or create a semaphore.
    pub fn options() -> SemaphoreOptions {
        SemaphoreOptions::new()
    }

    /// Removes the name. Handles stay usable; the semaphore goes when the last one is
    /// closed. Similar to `sem_unlink` in POSIX.
    ///
    /// # Errors
    ///
    /// [`NoEntry`](crate::ErrorKind::NoEntry) if it does not exist,
    /// [`NotPermitted`](crate::ErrorKind::NotPermitted) if the host does not let the guest unlink
    /// it.
    pub fn unlink(name: &str) -> Result<()> {
        raw::unlink(name).map_err(|code| Error::from(code).during("unlink semaphore", name))
    }

    /// The name under which the guest knows it.
    #[must_use]
    pub fn name(&self) -> String {
        self.raw.name()
    }

    /// The permission bits that it had when it was opened.
    #[must_use]
    pub fn mode(&self) -> u32 {
        self.raw.mode()
    }

    /// The value, which others may change at any time: good for a display, not for a
    /// decision. Similar to `sem_getvalue` in POSIX.
    ///
    /// # Errors
    ///
    /// Fails only if the host cannot read it any more.
    pub fn value(&self) -> Result<u32> {
        #[cfg(feature = "atomics")]
        if let Some(page) = &self.page {
            return Ok(page.value());
        }
        self.raw
            .value()
            .map_err(self.failed("read the value of semaphore"))
    }

    /// Takes one, waiting until there is one. Similar to `sem_wait` in POSIX.
    ///
    /// # Errors
    ///
    /// [`Cancelled`](crate::ErrorKind::Cancelled) if the host ends the wait; nothing was taken then.
    #[inline]
    pub fn acquire(&self) -> Result<()> {
        if self.take() == Some(true) {
            return Ok(());
        }
        self.raw
            .acquire(None)
            .map_err(self.failed("acquire semaphore"))
    }

    /// Takes one, waiting at most for this long. Similar to `sem_timedwait` in POSIX, on the
    /// monotonic clock.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](crate::ErrorKind::TimedOut) if the time elapsed first,
    /// [`Cancelled`](crate::ErrorKind::Cancelled) if the host ends the wait; nothing was taken then.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<()> {
        if self.take() == Some(true) {
            return Ok(());
        }
        let result = self.raw.acquire(Some(nanoseconds(timeout)));
        result.map_err(|code| timed_out(self.failed("acquire semaphore")(code)))
    }

    /// As [`acquire`](Self::acquire), as a [future](crate::future). It takes one when it ends:
    /// dropped before that it has taken nothing.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire) and [`subscribe`](Self::subscribe).
    pub async fn acquire_async(&self) -> Result<()> {
        while !self.try_acquire()? {
            self.subscribe()?.await;
        }
        Ok(())
    }

    /// Takes one if there is one, and says whether it did. Does not wait. Similar to
    /// `sem_trywait` in POSIX.
    ///
    /// # Errors
    ///
    /// Fails only if the host cannot reach it any more.
    #[must_use = "only the value tells whether one was taken"]
    #[inline]
    pub fn try_acquire(&self) -> Result<bool> {
        if let Some(taken) = self.take() {
            return Ok(taken);
        }
        match self.raw.try_acquire() {
            Ok(()) => Ok(true),
            Err(raw::ErrorCode::Busy) => Ok(false),
            Err(code) => Err(self.failed("acquire semaphore")(code)),
        }
    }

    /// Gives one back and wakes one who waits. It need not have been acquired here. Similar
    /// to `sem_post` in POSIX.
    ///
    /// # Errors
    ///
    /// [`Overflow`](crate::ErrorKind::Overflow) if the value is at its
    /// [maximum](crate::limits::semaphore_value_max).
    #[inline]
    pub fn release(&self) -> Result<()> {
        #[cfg(feature = "atomics")]
        if let Some(page) = &self.page
            && page.give()
        {
            return Ok(());
        }
        #[cfg(feature = "direct")]
        if direct::release(self.number) {
            return Ok(());
        }
        self.raw.release().map_err(self.failed("release semaphore"))
    }

    /// Makes the error of an operation.
    fn failed(&self, operation: &'static str) -> impl FnOnce(raw::ErrorCode) -> Error {
        move |code| Error::from(code).during(operation, self.raw.name())
    }

    /// Takes one in a faster way than by a method of the handle, and says whether there was
    /// one; none if there is no such way or it does not tell.
    #[inline]
    fn take(&self) -> Option<bool> {
        #[cfg(feature = "atomics")]
        if let Some(page) = &self.page {
            return Some(page.take());
        }
        #[cfg(feature = "direct")]
        if direct::try_acquire(self.number) {
            return Some(true);
        }
        None
    }

    fn new(raw: raw::Semaphore, options: &SemaphoreOptions) -> Self {
        #[cfg(not(feature = "atomics"))]
        let _ = options;
        Self {
            #[cfg(feature = "atomics")]
            page: options.fast.then(|| page::Page::of(&raw)).flatten(),
            #[cfg(feature = "direct")]
            number: direct::semaphore_number(&raw),
            raw,
        }
    }

    /// As [`acquire`](Self::acquire), with a guard that releases when it is dropped.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    pub fn lock(&self) -> Result<SemaphoreGuard<'_>> {
        self.acquire()?;
        Ok(SemaphoreGuard { semaphore: self })
    }

    /// As [`acquire_timeout`](Self::acquire_timeout), with a guard that releases when it is
    /// dropped.
    ///
    /// # Errors
    ///
    /// As [`acquire_timeout`](Self::acquire_timeout).
    pub fn lock_timeout(&self, timeout: Duration) -> Result<SemaphoreGuard<'_>> {
        self.acquire_timeout(timeout)?;
        Ok(SemaphoreGuard { semaphore: self })
    }

    /// As [`try_acquire`](Self::try_acquire), with a guard that releases when it is dropped,
    /// or none if it would have had to wait.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn try_lock(&self) -> Result<Option<SemaphoreGuard<'_>>> {
        let taken = self.try_acquire()?;
        Ok(taken.then(|| SemaphoreGuard { semaphore: self }))
    }

    /// Something to [poll](crate::poll) that is ready while the value is above 0. Being
    /// ready takes nothing: follow it with [`try_acquire`](Self::try_acquire), which may find
    /// that somebody else was faster.
    ///
    /// # Errors
    ///
    /// [`Quota`](crate::ErrorKind::Quota) if the guest holds as many handles as the host allows.
    pub fn subscribe(&self) -> Result<Pollable> {
        let raw = self.raw.subscribe();
        raw.map(Pollable::new)
            .map_err(self.failed("subscribe to semaphore"))
    }

    /// Maps the page that holds the semaphore. Its layout is that of `sem_t` in the
    /// platform's C library.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`](crate::ErrorKind::NotPermitted) if the host has not granted mapping,
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if it has no mappings here.
    pub fn map(&self) -> Result<Mapping> {
        let raw = self.raw.map(PROBE).map_err(self.failed("map semaphore"))?;
        Ok(Mapping::new(raw, Access::ReadWrite))
    }
}

/// One that was taken from a [`Semaphore`]. Dropping it gives it back.
#[derive(Debug)]
#[must_use = "the semaphore is released at once when the guard is dropped"]
pub struct SemaphoreGuard<'a> {
    semaphore: &'a Semaphore,
}

impl SemaphoreGuard<'_> {
    /// Gives it back now, and tells if that fails, which dropping the guard cannot.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::release`].
    pub fn release(self) -> Result<()> {
        let semaphore = self.semaphore;
        mem::forget(self);
        semaphore.release()
    }

    /// Keeps it. It is up to somebody else to release the semaphore.
    pub fn forget(self) {
        mem::forget(self);
    }
}

impl Drop for SemaphoreGuard<'_> {
    fn drop(&mut self) {
        // It can fail only if somebody else raised the semaphore to its maximum, and there
        // is nobody to tell.
        let _ = self.semaphore.release();
    }
}

/// How to open or create a [`Semaphore`]. Without further calls: open one that exists.
///
/// ```no_run
/// # use posix_ipc_guest::Semaphore;
/// # fn main() -> posix_ipc_guest::Result<()> {
/// let slots = Semaphore::options().create(true).value(4).open("/slots")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is opened until `open` or `create_unique` is called"]
pub struct SemaphoreOptions {
    create: Create,
    mode: u32,
    value: u32,
    #[cfg(feature = "atomics")]
    fast: bool,
}

impl SemaphoreOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            create: Create::default(),
            mode: DEFAULT_MODE,
            value: 0,
            #[cfg(feature = "atomics")]
            fast: false,
        }
    }

    /// Whether to create the semaphore if it does not exist. Similar to `O_CREAT` in POSIX.
    pub fn create(&mut self, create: bool) -> &mut Self {
        self.create.create = create;
        self
    }

    /// Whether to create the semaphore, and fail if it exists. Similar to `O_CREAT` with
    /// `O_EXCL` in POSIX.
    pub fn create_new(&mut self, create_new: bool) -> &mut Self {
        self.create.create_new = create_new;
        self
    }

    /// The permission bits of a new semaphore, `0o600` by default. The host's umask applies.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = mode;
        self
    }

    /// The value of a new semaphore, 0 by default.
    pub fn value(&mut self, value: u32) -> &mut Self {
        self.value = value;
        self
    }

    /// Whether to take and give back without calling the host as long as nobody has to wait
    /// or be woken, which is as fast as in a native program. For that the semaphore is mapped
    /// into the guest's address range. Where the host does not grant that (`map`), or has no
    /// mappings, the semaphore works as ever. Comes with the crate's feature `atomics`, see
    /// [`Mapping`].
    ///
    /// ```no_run
    /// # use posix_ipc_guest::Semaphore;
    /// # fn main() -> posix_ipc_guest::Result<()> {
    /// let lock = Semaphore::options().fast(true).open("/lock")?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "atomics")]
    pub fn fast(&mut self, fast: bool) -> &mut Self {
        self.fast = fast;
        self
    }

    /// Opens or creates the semaphore. Similar to `sem_open` in POSIX.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`](crate::ErrorKind::NotPermitted) if the host has not granted this,
    /// [`NoEntry`](crate::ErrorKind::NoEntry) or [`Exists`](crate::ErrorKind::Exists) as the options say,
    /// [`Invalid`](crate::ErrorKind::Invalid) if the name is malformed or the value above its
    /// [maximum](crate::limits::semaphore_value_max).
    pub fn open(&self, name: &str) -> Result<Semaphore> {
        let raw = raw::Semaphore::open(name, self.create.flags(), self.mode, self.value)
            .map_err(|code| Error::from(code).during("open semaphore", name))?;
        Ok(Semaphore::new(raw, self))
    }

    /// Creates a semaphore under a name that nobody has: the prefix, which starts with a
    /// slash, followed by random letters and digits. [`Semaphore::name`] tells it.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn create_unique(&self, prefix: &str) -> Result<Semaphore> {
        let raw = raw::Semaphore::create_unique(prefix, self.mode, self.value)
            .map_err(|code| Error::from(code).during("create semaphore", prefix))?;
        Ok(Semaphore::new(raw, self))
    }
}

impl Default for SemaphoreOptions {
    fn default() -> Self {
        Self::new()
    }
}
