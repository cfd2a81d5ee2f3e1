use crate::bindings::posix::ipc::windows as raw;

/// The guest's own byte from which the host learns which memory a window is for.
pub(crate) const PROBE: &[u8] = &[0];

/// Part of an object, mapped into the guest's address range above its own memory: the
/// guest's loads, stores and atomics reach the object's bytes directly, at native speed.
/// Similar to what `mmap` returns in POSIX.
///
/// Dropping it unmaps it, and any access after that traps, as does one past the end of an
/// object that a peer shrank.
///
/// # Rules
///
/// A window lies outside of what the guest's memory counts as its length. Only loads,
/// stores and atomics reach it: bulk copies and fills, and every host call that is given
/// one of its addresses, trap. The compiler makes bulk instructions of
/// [`std::ptr::copy_nonoverlapping`] and even of loops over bytes. And as peers change the
/// bytes at any time, there must be no `&[u8]` of them. What is left is
/// [`read_volatile`](std::ptr::read_volatile) and
/// [`write_volatile`](std::ptr::write_volatile), and atomics by
/// [`AtomicU32::from_ptr`](std::sync::atomic::AtomicU32::from_ptr) and its siblings in a
/// guest that is built with `-C target-feature=+atomics`.
#[derive(Debug)]
#[must_use = "the window is unmapped at once when dropped"]
pub struct Window {
    address: usize,
    length: usize,
    /// Unmaps when dropped.
    _raw: raw::Window,
}

impl Window {
    pub(crate) fn new(raw: raw::Window) -> Self {
        Self {
            // Both fit: a window is in the guest's own address range.
            address: raw.address() as usize,
            length: raw.length() as usize,
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
}
