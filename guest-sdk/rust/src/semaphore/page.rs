//! A semaphore taken and given back by atomics of the guest's own.
//!
//! The C library of the host keeps a semaphore's value in the lower half of its first 64
//! bits, and the number of waiters in the upper half. Where nobody waits there is nothing
//! to be done but to change the value. Everything else is for the host. It does not let a
//! semaphore be mapped whose library does otherwise.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::bindings::posix::ipc::semaphore as raw;
use crate::mapping::PROBE;
use crate::{Access, Mapping};

/// `SEM_VALUE_MAX` of that library.
const MOST: u64 = i32::MAX as u64;

/// The page of a semaphore.
#[derive(Debug)]
pub(super) struct Page(Mapping);

impl Page {
    /// Maps a semaphore, where the host lets it be mapped.
    pub(super) fn of(semaphore: &raw::Semaphore) -> Option<Self> {
        let raw = semaphore.map(PROBE).ok()?;
        let page = Mapping::new(raw, Access::ReadWrite);
        page.u64(0).is_ok().then_some(Self(page))
    }

    #[inline]
    fn word(&self) -> &AtomicU64 {
        self.0.first_u64()
    }

    /// The value.
    pub(super) fn value(&self) -> u32 {
        self.word().load(Ordering::SeqCst) as u32
    }

    /// Takes one, and says whether there was one.
    #[inline]
    pub(super) fn take(&self) -> bool {
        self.change(|state| (state as u32 > 0).then(|| state.wrapping_sub(1)))
    }

    /// Gives one back, unless somebody would have to be woken or the value is at its
    /// maximum; says whether it did.
    #[inline]
    pub(super) fn give(&self) -> bool {
        self.change(|state| (state < MOST).then(|| state + 1))
    }

    #[inline]
    fn change(&self, next: impl Fn(u64) -> Option<u64>) -> bool {
        self.word()
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, next)
            .is_ok()
    }
}
