//! Objects in the guest's own address range.

#[cfg(feature = "atomics")]
use std::sync::atomic::{AtomicU32, AtomicU64};

use crate::bindings::posix::ipc::mappings as raw;
use crate::{Access, ErrorKind, Result};

mod copy;

/// The guest's own byte from which the host learns which memory a mapping is for.
pub(crate) const PROBE: &[u8] = &[0];

/// Part of an object, mapped into the guest's address range above its own memory: the
/// guest's loads, stores and atomics reach the object's bytes directly, at native speed.
/// Similar to what `mmap` returns in POSIX.
///
/// ```no_run
/// # use posix_ipc_guest::{Access, Segment};
/// # fn main() -> posix_ipc_guest::Result<()> {
/// let frame = Segment::open("/frame", Access::ReadWrite)?;
/// let mapping = frame.map_all(Access::ReadWrite)?;
/// let mut pixels = vec![0; mapping.len() - 64];
/// mapping.read_exact(64, &mut pixels)?;
/// # #[cfg(feature = "atomics")]
/// mapping.u32(0)?.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
/// # Ok(())
/// # }
/// ```
///
/// Dropping it unmaps it, and any access after that traps, as does one past the end of an
/// object that a peer shrank.
///
/// # Rules for using the address
///
/// A mapping lies outside of what the guest's memory counts as its length. Only loads,
/// stores and atomics reach it: bulk copies and fills, and every call to the host that is
/// given one of its addresses, trap. The compiler makes bulk instructions of
/// [`std::ptr::copy_nonoverlapping`], of assigning a large struct, and even of loops over
/// bytes. And as peers change the bytes at any time, there must be no `&[u8]` of them.
///
/// [`read_exact`](Self::read_exact) and [`write`](Self::write) copy in a way that keeps to
/// this. Besides, there are [`read_volatile`](std::ptr::read_volatile) and
/// [`write_volatile`](std::ptr::write_volatile) of [`as_ptr`](Self::as_ptr), for values of
/// up to 16 bytes, and atomics. What is polled until a peer changes it has to be an atomic:
/// a compiler of the host may merge other loads of the same address.
///
/// # Atomics
///
/// [`u32`](Self::u32) and [`u64`](Self::u64) come with the crate's feature `atomics`, and
/// that needs `-C target-feature=+atomics`. Without this option of the compiler a guest has
/// atomics that are not atomic: it has no threads of its own, and peers are nothing that the
/// compiler knows of. A build with the feature and without the option fails.
#[derive(Debug)]
#[must_use = "the mapping is unmapped at once when dropped"]
pub struct Mapping {
    address: usize,
    length: usize,
    writable: bool,
    /// Unmaps when dropped.
    _raw: raw::Mapping,
}

impl Mapping {
    pub(crate) fn new(raw: raw::Mapping, access: Access) -> Self {
        Self {
            // Both fit: a mapping is in the guest's own address range.
            address: raw.address() as usize,
            length: raw.length() as usize,
            writable: access != Access::Read,
            _raw: raw,
        }
    }

    /// The guest address of the first byte.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(self.address)
    }

    /// The length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether the length is zero.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Copies bytes out of the mapping, starting at an offset, until the buffer is full. They
    /// are torn by a peer that writes at the same time.
    ///
    /// # Errors
    ///
    /// [`Truncated`](ErrorKind::Truncated) if the mapping ends before that.
    pub fn read_exact(&self, offset: usize, buffer: &mut [u8]) -> Result<()> {
        let start = self.part(offset, buffer.len())?;
        copy::read(start, buffer);
        Ok(())
    }

    /// Copies bytes into the mapping, starting at an offset. A peer may see some of them
    /// before others.
    ///
    /// # Errors
    ///
    /// [`Truncated`](ErrorKind::Truncated) if they do not fit, and
    /// [`Access`](ErrorKind::Access) if the mapping is for reading only.
    pub fn write(&self, offset: usize, data: &[u8]) -> Result<()> {
        if !self.writable {
            return Err(ErrorKind::Access.into());
        }
        let start = self.part(offset, data.len())?;
        copy::write(start, data);
        Ok(())
    }

    /// The 32-bit word at an offset that is a multiple of 4, atomic against native peers.
    ///
    /// In a mapping for reading only it can be loaded; everything else traps.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if the offset is not a multiple of 4,
    /// [`Truncated`](ErrorKind::Truncated) if the mapping ends before the word does.
    #[cfg(feature = "atomics")]
    #[inline]
    #[allow(unsafe_code)]
    pub fn u32(&self, offset: usize) -> Result<&AtomicU32> {
        let word = self.word::<AtomicU32>(offset)?;
        // SAFETY: the word lies in the mapping and is aligned, as the mapping is aligned to
        // pages. It is mapped as long as `self`, nothing of this program has another
        // reference to it, and what peers do to it is atomic or tears only their own view.
        Ok(unsafe { &*word })
    }

    /// The 64-bit word at an offset that is a multiple of 8. As [`u32`](Self::u32).
    ///
    /// # Errors
    ///
    /// As [`u32`](Self::u32).
    #[cfg(feature = "atomics")]
    #[inline]
    #[allow(unsafe_code)]
    pub fn u64(&self, offset: usize) -> Result<&AtomicU64> {
        let word = self.word::<AtomicU64>(offset)?;
        // SAFETY: as for `u32`.
        Ok(unsafe { &*word })
    }

    /// The first word, of a mapping that is known to have one.
    #[cfg(feature = "atomics")]
    #[inline]
    #[allow(unsafe_code)]
    pub(crate) fn first_u64(&self) -> &AtomicU64 {
        debug_assert!(self.u64(0).is_ok());
        // SAFETY: as for `u32`.
        unsafe { &*self.as_ptr().cast::<AtomicU64>() }
    }

    #[cfg(feature = "atomics")]
    #[inline]
    fn word<T>(&self, offset: usize) -> Result<*const T> {
        if !offset.is_multiple_of(align_of::<T>()) {
            return Err(ErrorKind::Invalid.into());
        }
        Ok(self.part(offset, size_of::<T>())?.cast())
    }

    /// The address of a part that lies in the mapping.
    #[inline]
    fn part(&self, offset: usize, length: usize) -> Result<*mut u8> {
        match offset.checked_add(length) {
            Some(end) if end <= self.length => Ok(self.as_ptr().wrapping_add(offset)),
            _ => Err(ErrorKind::Truncated.into()),
        }
    }
}
