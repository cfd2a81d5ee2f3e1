//! Semaphores that a guest still holds when it ends, given back as `SEM_UNDO` of
//! System V semaphores does.

use crate::ledger::Entry;
use crate::sys::Identity;
use crate::sys::semaphore::Semaphore;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The semaphores of one guest. Dropping it gives them back.
#[derive(Default)]
pub(crate) struct Undo {
    held: HashMap<Identity, Arc<Held>>,
}

/// How often a guest holds a semaphore, over all its handles to it.
pub(crate) struct Held {
    semaphore: Arc<Semaphore>,
    count: AtomicU32,
    entry: Entry,
}

impl Undo {
    pub(super) fn of(
        &mut self,
        semaphore: &Arc<Semaphore>,
        entry: impl FnOnce() -> Entry,
    ) -> Arc<Held> {
        let new = || Held {
            semaphore: semaphore.clone(),
            count: AtomicU32::new(0),
            entry: entry(),
        };
        let held = self.held.entry(semaphore.identity());
        held.or_insert_with(|| new().into()).clone()
    }
}

impl Held {
    /// To be called after the guest has taken the semaphore. A host that is killed in
    /// between has lost the token, as without `undo`; the other order could give back
    /// what was never taken.
    pub(crate) fn acquired(&self) {
        self.entry
            .set_held(self.count.fetch_add(1, Ordering::Relaxed) + 1);
    }

    /// To be called before the guest releases the semaphore, for the same reason. What
    /// the guest does not hold is a new token, and is not undone. Says whether it was
    /// held.
    pub(crate) fn releases(&self) -> bool {
        let held = self.count.load(Ordering::Relaxed);
        let Some(less) = held.checked_sub(1) else {
            return false;
        };
        self.count.store(less, Ordering::Relaxed);
        self.entry.set_held(less);
        true
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        for held in self.held.values() {
            for _ in 0..held.count.load(Ordering::Relaxed) {
                held.releases();
                if let Err(errno) = held.semaphore.release() {
                    tracing::warn!("a semaphore could not be given back: {errno}");
                    break;
                }
            }
        }
    }
}
