//! The mapping of an object into this process.

use super::{Errno, Identity, Result, TRUNCATED};
use crate::sys::sigbus::{self, Guard};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::fstat;
use nix::sys::statvfs::fstatvfs;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// A word of an object that stays mapped while somebody waits on it.
pub(crate) struct MappedWord {
    pub(super) mapping: Arc<Mapping>,
    pub(super) offset: u64,
}

impl MappedWord {
    pub(crate) fn get(&self) -> &AtomicU32 {
        // SAFETY: `SharedMemory::waitable` checked bounds and alignment, and the
        // mapping lives as long as `self`.
        unsafe { AtomicU32::from_ptr(self.mapping.at(self.offset).cast()) }
    }

    /// Loads the word, unless its object no longer reaches so far.
    pub(crate) fn load(&self) -> Result<u32> {
        let value = self.get().load(Ordering::SeqCst);
        self.mapping.intact().map(|()| value)
    }

    /// Whether both are the same word of one object, which may be mapped more than once.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.mapping.identity, self.offset) == (other.mapping.identity, other.offset)
    }
}

/// What to map of an object of this size for an access to this range: all of it, unless
/// that is very large. A peer can make an object of any size without any memory, and the
/// addresses of the process are for all guests.
pub(super) fn part_to_map(size: u64, range: Range<u64>) -> Range<u64> {
    const LARGEST: u64 = 1 << 30;
    if size <= LARGEST {
        return 0..size;
    }
    let start = range.start - range.start % LARGEST;
    start..size.min(start.saturating_add(LARGEST)).max(range.end)
}

/// Part of an object as it was when it was mapped. No Rust reference to its bytes
/// is ever made, because peers change them at any time.
pub(super) struct Mapping {
    start: NonNull<u8>,
    /// Where in the object it starts.
    offset: u64,
    size: usize,
    guard: ManuallyDrop<Guard>,
    descriptor: Arc<OwnedFd>,
    identity: Identity,
}

// SAFETY: the mapping is plain memory; access to it is by atomics and by copies
// that expect to race.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(super) fn new(descriptor: Arc<OwnedFd>, part: Range<u64>, writable: bool) -> Result<Self> {
        let offset = part.start;
        let size = usize::try_from(part.end - offset).map_err(|_| Errno::ENOMEM)?;
        let length = NonZeroUsize::new(size).ok_or(Errno::EINVAL)?;
        let protection = if writable {
            ProtFlags::PROT_READ | ProtFlags::PROT_WRITE
        } else {
            ProtFlags::PROT_READ
        };
        let identity = Identity::of(&fstat(&descriptor)?);
        sigbus::prepare()?;
        // SAFETY: a new mapping at an address of the kernel's choice. The guard is
        // told of it, lives as long as it, and zeros are valid bytes.
        unsafe {
            let shared = MapFlags::MAP_SHARED;
            let start = mmap(None, length, protection, shared, &descriptor, offset as i64)?;
            let guard = ManuallyDrop::new(Guard::new(start.as_ptr(), size));
            Ok(Self {
                start: start.cast(),
                offset,
                size,
                guard,
                descriptor,
                identity,
            })
        }
    }

    /// Whether no access to the mapping has faulted, or why one has.
    #[inline]
    pub(super) fn intact(&self) -> Result<()> {
        match self.guard.faulted() {
            false => Ok(()),
            true => Err(self.why_faulted()),
        }
    }

    #[cold]
    fn why_faulted(&self) -> Errno {
        let stat = fstat(&self.descriptor);
        let is_whole = stat.is_ok_and(|stat| stat.st_size as u64 >= self.end());
        let is_full = || {
            let statistics = fstatvfs(&self.descriptor);
            statistics.is_ok_and(|statistics| statistics.blocks_available() == 0)
        };
        match is_whole && is_full() {
            true => Errno::ENOSPC,
            false => TRUNCATED,
        }
    }

    /// Where in the object it ends.
    fn end(&self) -> u64 {
        self.offset + self.size as u64
    }

    pub(super) fn covers(&self, range: &Range<u64>) -> bool {
        self.offset <= range.start && range.end <= self.end()
    }

    /// How much it has from an offset of the object on.
    fn room(&self, offset: u64) -> usize {
        (self.end() - offset) as usize
    }

    pub(super) fn at(&self, offset: u64) -> *mut u8 {
        debug_assert!((self.offset..self.end()).contains(&offset));
        // SAFETY: every caller has found that the mapping covers the offset.
        unsafe { self.start.add((offset - self.offset) as usize).as_ptr() }
    }

    /// The byte at an offset, or 0 if a peer has cut it off.
    pub(super) fn byte(&self, offset: u64) -> u8 {
        // SAFETY: the byte is mapped, and all parties access it atomically or not through
        // Rust.
        unsafe { AtomicU8::from_ptr(self.at(offset)) }.load(Ordering::Relaxed)
    }

    /// Copies as much as the mapping has and the buffer takes.
    pub(super) fn copy_out(&self, offset: u64, buffer: &mut [MaybeUninit<u8>]) {
        let length = buffer.len().min(self.room(offset));
        // SAFETY: the range is inside the mapping. Peers may write at the same
        // time, through other mappings that Rust knows nothing of: the bytes may be
        // torn, which is what the interface says.
        unsafe { ptr::copy_nonoverlapping(self.at(offset), buffer.as_mut_ptr().cast(), length) }
    }

    /// As [`Self::copy_out`], over bytes that are there already.
    pub(super) fn copy_over(&self, offset: u64, buffer: &mut [u8]) {
        let length = buffer.len().min(self.room(offset));
        // SAFETY: as for `copy_out`.
        unsafe { ptr::copy_nonoverlapping(self.at(offset), buffer.as_mut_ptr(), length) }
    }

    pub(super) fn copy_in(&self, offset: u64, data: &[u8]) {
        debug_assert!(data.len() <= self.room(offset));
        // SAFETY: as for `copy_out`, and only writable mappings get here.
        unsafe { ptr::copy_nonoverlapping(data.as_ptr(), self.at(offset), data.len()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nothing else refers to the mapping, and its guard goes first.
        unsafe {
            ManuallyDrop::drop(&mut self.guard);
            let _ = munmap(self.start.cast(), self.size);
        }
    }
}
