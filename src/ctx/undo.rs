//! Semaphores that a guest still holds when it ends, given back as `SEM_UNDO` of
//! System V semaphores does.

use super::Charge;
use crate::ledger::Entry;
use crate::quota::Reservation;
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
    /// What the semaphore takes of the guest's quota: it stays open as long as the guest
    /// holds it, though every handle to it may be closed and its name gone.
    _taken: Reservation,
    _charge: Option<Arc<Charge>>,
}

impl Undo {
    pub(super) fn of(&mut self, identity: Identity, new: impl FnOnce() -> Held) -> Arc<Held> {
        let held = self.held.entry(identity);
        held.or_insert_with(|| new().into()).clone()
    }

    /// Forgets the semaphores of which the guest has neither a handle nor a token.
    pub(crate) fn forget_unheld(&mut self) {
        self.held.retain(|_, held| {
            Arc::strong_count(held) > 1 || held.count.load(Ordering::Relaxed) > 0
        });
    }
}

impl Held {
    pub(super) fn new(
        semaphore: Arc<Semaphore>,
        entry: Entry,
        taken: Reservation,
        charge: Option<Arc<Charge>>,
    ) -> Self {
        // Between crossing out a token and the release nobody should be killed.
        Semaphore::prepare_release();
        Self {
            semaphore,
            count: AtomicU32::new(0),
            entry,
            _taken: taken,
            _charge: charge,
        }
    }

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
