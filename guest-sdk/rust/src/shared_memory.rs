use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::bindings::posix::ipc::shared_memory as raw;
#[cfg(feature = "direct")]
use crate::direct;
use crate::mapping::PROBE;
use crate::options::{Access, Create, DEFAULT_MODE};
use crate::time::{nanoseconds, timed_out};
use crate::{Error, ErrorKind, Mapping, Result};

/// Operations, as errors name them.
const READ: &str = "read from segment";
const CHANGE: &str = "change a word of segment";
const WAIT: &str = "wait for a word of segment";

mod read_into;

/// A named memory object, shared with native programs.
///
/// A peer may change the bytes, and the size, at any time. [Reading](Self::read) and
/// [writing](Self::write) copy, and are torn by a peer that writes at the same time:
/// guard them with a [`Semaphore`](crate::Semaphore), or with words of the object itself
/// ([`u32`](Self::u32), [`u64`](Self::u64)), which are atomic.
///
/// Dropping it closes it.
#[derive(Debug)]
pub struct Segment {
    raw: raw::Segment,
    /// For calls without the handle.
    #[cfg(feature = "direct")]
    number: u32,
}

impl Segment {
    fn new(raw: raw::Segment) -> Self {
        Self {
            #[cfg(feature = "direct")]
            number: direct::segment_number(&raw),
            raw,
        }
    }

    /// Opens an object that exists. Similar to `shm_open` in POSIX.
    ///
    /// # Errors
    ///
    /// [`NoEntry`](ErrorKind::NoEntry) if it does not exist,
    /// [`NotPermitted`](ErrorKind::NotPermitted) if the host has not granted it, or not for
    /// this access.
    pub fn open(name: &str, access: Access) -> Result<Self> {
        Self::options().access(access).open(name)
    }

    /// Creates an object that does not exist yet, of this many zero bytes, open for reading
    /// and writing. Similar to `shm_open` in POSIX with `O_CREAT` and `O_EXCL`, and
    /// `ftruncate`.
    ///
    /// # Errors
    ///
    /// [`Exists`](ErrorKind::Exists) if there is one,
    /// [`NotPermitted`](ErrorKind::NotPermitted) if the host does not let the guest create
    /// it, [`Quota`](ErrorKind::Quota) or [`NoSpace`](ErrorKind::NoSpace) if it is too large.
    pub fn create_new(name: &str, size: u64) -> Result<Self> {
        Self::options().create_new(true).size(size).open(name)
    }

    /// Options for every other way to open or create an object.
    pub fn options() -> SegmentOptions {
        SegmentOptions::new()
    }

    /// Removes the name. Handles stay usable; the memory goes when the last one is closed.
    /// Similar to `shm_unlink` in POSIX.
    ///
    /// # Errors
    ///
    /// [`NoEntry`](ErrorKind::NoEntry) if it does not exist,
    /// [`NotPermitted`](ErrorKind::NotPermitted) if the host does not let the guest unlink
    /// it.
    pub fn unlink(name: &str) -> Result<()> {
        raw::unlink(name).map_err(|code| Error::from(code).during("unlink segment", name))
    }

    /// The name under which the guest knows it.
    #[must_use]
    pub fn name(&self) -> String {
        self.raw.name()
    }

    /// The permission bits. Similar to `fstat` in POSIX.
    ///
    /// # Errors
    ///
    /// Fails only if the host cannot reach it any more.
    pub fn mode(&self) -> Result<u32> {
        self.raw
            .mode()
            .map_err(self.failed("read the mode of segment"))
    }

    /// The size in bytes, which a peer may change. Similar to `fstat` in POSIX.
    ///
    /// # Errors
    ///
    /// Fails only if the host cannot reach it any more.
    pub fn size(&self) -> Result<u64> {
        self.raw
            .size()
            .map_err(self.failed("read the size of segment"))
    }

    /// Sets the size in bytes. New bytes are zero. Similar to `ftruncate` in POSIX.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`](ErrorKind::NotPermitted) if the host does not let the guest resize
    /// it, [`Quota`](ErrorKind::Quota) or [`NoSpace`](ErrorKind::NoSpace) if it would be too
    /// large.
    pub fn resize(&self, size: u64) -> Result<()> {
        self.raw.resize(size).map_err(self.failed("resize segment"))
    }

    /// Copies up to `length` bytes out of the object: fewer where it ends, none at or past
    /// its end, and possibly fewer than asked where that is more than 1 MiB. Similar to
    /// `pread` in POSIX.
    ///
    /// # Errors
    ///
    /// [`Closed`](ErrorKind::Closed) if the object is gone.
    pub fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let bytes = self.raw.read(offset, length as u64);
        bytes.map_err(self.failed(READ))
    }

    /// As [`read`](Self::read), into memory that is there already, and returns how many
    /// bytes it copied. It is the fastest way to read: a host that can copies straight into
    /// `buffer`, and for one that cannot this is [`read`](Self::read).
    ///
    /// Where something stands between the guest and the host, a component that implements
    /// `posix:ipc` itself, the host sees only a copy of the buffer, and the buffer stays as
    /// it was. Use [`read`](Self::read) there.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_into(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        #[cfg(feature = "direct")]
        if let Some(length) = direct::read_into(self.number, offset, buffer) {
            return Ok(length);
        }
        // Whether the host can is the same for all objects, and asking costs a call.
        static DIRECT: AtomicBool = AtomicBool::new(true);
        if DIRECT.load(Relaxed) {
            match read_into::read_into(&self.raw, offset, buffer) {
                Err(error) if error.kind() == ErrorKind::Unsupported => {
                    DIRECT.store(false, Relaxed);
                }
                result => return result.map_err(|error| error.during(READ, self.name())),
            }
        }
        let bytes = self.read(offset, buffer.len())?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    /// Fills the whole buffer by [`read_into`](Self::read_into), in as many calls as that
    /// takes.
    ///
    /// # Errors
    ///
    /// [`Truncated`](ErrorKind::Truncated) if the object ends before the buffer does; what
    /// is in the buffer then is unspecified. Otherwise as [`read`](Self::read).
    pub fn read_exact(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            let offset = offset
                .checked_add(filled as u64)
                .ok_or_else(|| Error::from(ErrorKind::Invalid).during(READ, self.name()))?;
            let count = self.read_into(offset, &mut buffer[filled..])?;
            if count == 0 {
                let error = Error::from(ErrorKind::Truncated);
                return Err(error.during(READ, self.name()));
            }
            filled += count;
        }
        Ok(())
    }

    /// Copies bytes into the object. All of them must fit: an object does not grow by being
    /// written to. Similar to `pwrite` in POSIX.
    ///
    /// # Errors
    ///
    /// [`Truncated`](ErrorKind::Truncated) if they do not fit,
    /// [`Access`](ErrorKind::Access) if the object was opened for reading only.
    pub fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        #[cfg(feature = "direct")]
        if direct::write(self.number, offset, data) {
            return Ok(());
        }
        let written = self.raw.write(offset, data);
        written.map_err(self.failed("write to segment"))
    }

    /// Makes the error of an operation.
    fn failed(&self, operation: &'static str) -> impl FnOnce(raw::ErrorCode) -> Error {
        move |code| Error::from(code).during(operation, self.raw.name())
    }

    /// The 32-bit word at an offset that is a multiple of 4, for atomic operations.
    pub fn u32(&self, offset: u64) -> SharedU32<'_> {
        SharedU32 {
            segment: self,
            offset,
        }
    }

    /// The 64-bit word at an offset that is a multiple of 8, for atomic operations.
    pub fn u64(&self, offset: u64) -> SharedU64<'_> {
        SharedU64 {
            segment: self,
            offset,
        }
    }

    /// Maps part of the object. `offset` is a multiple of the
    /// [page size](crate::limits::page_size). Similar to `mmap` in POSIX.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`](ErrorKind::NotPermitted) if the host has not granted mapping,
    /// [`Unsupported`](ErrorKind::Unsupported) if it has no mappings here,
    /// [`Truncated`](ErrorKind::Truncated) if the object ends before the mapping does,
    /// [`NoSpace`](ErrorKind::NoSpace) if the guest's address range is full.
    pub fn map(&self, offset: u64, length: u64, access: Access) -> Result<Mapping> {
        let raw = self.raw.map(PROBE, offset, length, access.into());
        let raw = raw.map_err(self.failed("map segment"))?;
        Ok(Mapping::new(raw, access))
    }

    /// Maps all of the object as it is now.
    ///
    /// # Errors
    ///
    /// As [`map`](Self::map); [`Invalid`](ErrorKind::Invalid) if it is empty.
    pub fn map_all(&self, access: Access) -> Result<Mapping> {
        self.map(0, self.size()?, access)
    }
}

/// How a wait on a [`SharedU32`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "the word has to be looked at again either way"]
pub enum WaitOutcome {
    /// Somebody notified, or the wait ended without a cause. Look at the word again.
    Woken,
    /// The word did not hold the expected value, so there was no wait.
    NotEqual,
}

impl From<raw::WaitOutcome> for WaitOutcome {
    fn from(outcome: raw::WaitOutcome) -> Self {
        match outcome {
            raw::WaitOutcome::Woken => Self::Woken,
            raw::WaitOutcome::NotEqual => Self::NotEqual,
        }
    }
}

/// The two widths of words differ in nothing but their type.
macro_rules! shared_word {
    (
        $(#[$attribute:meta])*
        $name:ident, $word:ty, $load:ident, $store:ident, $rmw:ident, $compare_exchange:ident
    ) => {
        $(#[$attribute])*
        ///
        /// All operations are sequentially consistent, in the host's byte order, and
        /// atomic against native peers.
        ///
        /// # Errors
        ///
        /// Each fails with [`Invalid`](ErrorKind::Invalid) if the offset is not a multiple of
        /// the word's size, with [`Truncated`](ErrorKind::Truncated) if the object ends before
        /// the word does, and all but `load` with [`Access`](ErrorKind::Access) if the object
        /// was opened for reading only.
        #[derive(Clone, Copy, Debug)]
        #[must_use = "it does nothing by itself"]
        pub struct $name<'a> {
            segment: &'a Segment,
            offset: u64,
        }

        impl $name<'_> {
            /// The offset in the object, in bytes.
            #[must_use]
            pub fn offset(&self) -> u64 {
                self.offset
            }

            /// Reads the word. Similar to `atomic_load` in C11.
            pub fn load(&self) -> Result<$word> {
                let value = self.segment.raw.$load(self.offset);
                value.map_err(self.segment.failed("load a word of segment"))
            }

            /// Writes the word. Similar to `atomic_store` in C11.
            pub fn store(&self, value: $word) -> Result<()> {
                let stored = self.segment.raw.$store(self.offset, value);
                stored.map_err(self.segment.failed("store a word of segment"))
            }

            /// Writes the word and returns its previous value. Similar to `atomic_exchange`
            /// in C11.
            pub fn swap(&self, value: $word) -> Result<$word> {
                self.modify(raw::AtomicOperation::Exchange, value)
            }

            /// Adds to the word, wrapping around, and returns its previous value. Similar to
            /// `atomic_fetch_add` in C11.
            pub fn fetch_add(&self, value: $word) -> Result<$word> {
                self.modify(raw::AtomicOperation::Add, value)
            }

            /// Subtracts from the word, wrapping around, and returns its previous value.
            /// Similar to `atomic_fetch_sub` in C11.
            pub fn fetch_sub(&self, value: $word) -> Result<$word> {
                self.modify(raw::AtomicOperation::Add, value.wrapping_neg())
            }

            /// Bitwise and with the word; returns its previous value. Similar to
            /// `atomic_fetch_and` in C11.
            pub fn fetch_and(&self, value: $word) -> Result<$word> {
                self.modify(raw::AtomicOperation::And, value)
            }

            /// Bitwise or with the word; returns its previous value. Similar to
            /// `atomic_fetch_or` in C11.
            pub fn fetch_or(&self, value: $word) -> Result<$word> {
                self.modify(raw::AtomicOperation::Or, value)
            }

            /// Bitwise exclusive or with the word; returns its previous value. Similar to
            /// `atomic_fetch_xor` in C11.
            pub fn fetch_xor(&self, value: $word) -> Result<$word> {
                self.modify(raw::AtomicOperation::Xor, value)
            }

            /// Writes `new` if the word is `current`. The inner result is the previous value:
            /// `Ok` if it was written, `Err` if not. Similar to
            /// `atomic_compare_exchange_strong` in C11.
            pub fn compare_exchange(
                &self,
                current: $word,
                new: $word,
            ) -> Result<Result<$word, $word>> {
                let previous = self.segment.raw.$compare_exchange(self.offset, current, new);
                let previous = previous.map_err(self.segment.failed(CHANGE))?;
                Ok(if previous == current {
                    Ok(previous)
                } else {
                    Err(previous)
                })
            }

            fn modify(&self, operation: raw::AtomicOperation, operand: $word) -> Result<$word> {
                let previous = self.segment.raw.$rmw(self.offset, operation, operand);
                previous.map_err(self.segment.failed(CHANGE))
            }
        }
    };
}

shared_word! {
    /// A 32-bit word of a [`Segment`], for atomic operations and for waiting.
    SharedU32, u32, atomic_load_u32, atomic_store_u32, atomic_rmw_u32, atomic_compare_exchange_u32
}

shared_word! {
    /// A 64-bit word of a [`Segment`], for atomic operations.
    SharedU64, u64, atomic_load_u64, atomic_store_u64, atomic_rmw_u64, atomic_compare_exchange_u64
}

impl SharedU32<'_> {
    /// Waits while the word is `expected`, until somebody [notifies](Self::notify) or a
    /// native peer wakes it. Similar to `FUTEX_WAIT` (not private) of `futex` on Linux.
    ///
    /// # Errors
    ///
    /// [`Cancelled`](ErrorKind::Cancelled) if the host ends the wait.
    pub fn wait(&self, expected: u32) -> Result<WaitOutcome> {
        let outcome = self.segment.raw.wait(self.offset, expected, None);
        let outcome = outcome.map_err(self.segment.failed(WAIT))?;
        Ok(outcome.into())
    }

    /// As [`wait`](Self::wait), at most for this long.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](ErrorKind::TimedOut) if the time elapsed first,
    /// [`Cancelled`](ErrorKind::Cancelled) if the host ends the wait.
    pub fn wait_timeout(&self, expected: u32, timeout: Duration) -> Result<WaitOutcome> {
        let timeout = Some(nanoseconds(timeout));
        match self.segment.raw.wait(self.offset, expected, timeout) {
            Ok(outcome) => Ok(outcome.into()),
            Err(code) => Err(timed_out(self.segment.failed(WAIT)(code))),
        }
    }

    /// Wakes up to `count` of those who wait for the word, guests and native programs alike,
    /// and returns how many it woke; [`u32::MAX`] wakes all. Change the word first: who is
    /// not asleep at this very moment is not woken, and goes by what the word holds. Similar
    /// to `FUTEX_WAKE` of `futex` on Linux.
    pub fn notify(&self, count: u32) -> Result<u32> {
        let woken = self.segment.raw.notify(self.offset, count);
        woken.map_err(self.segment.failed("notify waiters of segment"))
    }
}

/// How to open or create a [`Segment`]. Without further calls: open one that exists, for
/// reading and writing, with the size that it has.
///
/// ```no_run
/// # use posix_ipc_guest::Segment;
/// # fn main() -> posix_ipc_guest::Result<()> {
/// let cache = Segment::options().create(true).size(65536).open("/cache")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is opened until `open` or `create_unique` is called"]
pub struct SegmentOptions {
    create: Create,
    mode: u32,
    size: Option<u64>,
    access: Access,
}

impl SegmentOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            create: Create::default(),
            mode: DEFAULT_MODE,
            size: None,
            access: Access::ReadWrite,
        }
    }

    /// Whether to create the object if it does not exist. Similar to `O_CREAT` in POSIX.
    pub fn create(&mut self, create: bool) -> &mut Self {
        self.create.create = create;
        self
    }

    /// Whether to create the object, and fail if it exists. Similar to `O_CREAT` with
    /// `O_EXCL` in POSIX.
    pub fn create_new(&mut self, create_new: bool) -> &mut Self {
        self.create.create_new = create_new;
        self
    }

    /// Whether to cut an object that exists to size 0 first, so that all of its bytes are
    /// zero. Similar to `O_TRUNC` in POSIX.
    pub fn truncate(&mut self, truncate: bool) -> &mut Self {
        self.create.truncate = truncate;
        self
    }

    /// The permission bits of a new object, `0o600` by default. The host's umask applies.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = mode;
        self
    }

    /// The size in bytes to give the object, whether it is new or not. By default a new
    /// object is empty, and one that exists keeps its size.
    pub fn size(&mut self, size: u64) -> &mut Self {
        self.size = Some(size);
        self
    }

    /// The directions to open it for, both by default. It cannot be opened for writing only.
    pub fn access(&mut self, access: Access) -> &mut Self {
        self.access = access;
        self
    }

    /// Opens or creates the object. Similar to `shm_open` followed by `ftruncate` in POSIX.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`](ErrorKind::NotPermitted) if the host has not granted this,
    /// [`NoEntry`](ErrorKind::NoEntry) or [`Exists`](ErrorKind::Exists) as the options say,
    /// [`Invalid`](ErrorKind::Invalid) if the name is malformed,
    /// [`Quota`](ErrorKind::Quota) or [`NoSpace`](ErrorKind::NoSpace) if it is too large.
    pub fn open(&self, name: &str) -> Result<Segment> {
        let raw = raw::Segment::open(
            name,
            self.create.flags(),
            self.mode,
            self.size,
            self.access.into(),
        );
        let raw = raw.map_err(|code| Error::from(code).during("open segment", name))?;
        Ok(Segment::new(raw))
    }

    /// Creates an object under a name that nobody has: the prefix, which starts with a
    /// slash, followed by random letters and digits. [`Segment::name`] tells it. It is open
    /// for reading and writing, and empty if the options have no size.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn create_unique(&self, prefix: &str) -> Result<Segment> {
        let raw = raw::Segment::create_unique(prefix, self.mode, self.size.unwrap_or(0))
            .map_err(|code| Error::from(code).during("create segment", prefix))?;
        Ok(Segment::new(raw))
    }
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self::new()
    }
}
