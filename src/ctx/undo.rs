//! Semaphores that a guest still holds when it ends, given back as `SEM_UNDO` of
//! System V semaphores does.

use super::Charge;
use crate::ledger::{Entry, MOST_HELD};
use crate::quota::{Counter, QuotaExceeded, Reservation};
use crate::sys::Identity;
use crate::sys::semaphore::Semaphore;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The semaphores of one guest. Dropping it gives them back.
pub(crate) struct Undo {
    held: HashMap<Identity, Arc<Held>>,
    /// What the guest holds of all of them. To give it back is to take no longer than an
    /// end may.
    tokens: Counter,
}

impl Default for Undo {
    fn default() -> Self {
        let what = "acquisitions that are given back at the end";
        let remedy = "a grant without undo, which has no such limit";
        Self {
            held: HashMap::new(),
            tokens: Counter::new(MOST_HELD.into(), what, remedy),
        }
    }
}

/// How often a guest holds a semaphore, over all its handles to it.
pub(crate) struct Held {
    semaphore: Arc<Semaphore>,
    tokens: Counter,
    state: Mutex<State>,
    /// What the semaphore takes of the guest's quota: it stays open as long as the guest
    /// holds it, though every handle to it may be closed and its name gone.
    _taken: Reservation,
    _charge: Option<Arc<Charge>>,
}

struct State {
    /// The tokens that the guest holds.
    count: Reservation,
    entry: Entry,
}

impl Undo {
    pub(super) fn of(
        &mut self,
        identity: Identity,
        new: impl FnOnce(&Counter) -> Held,
    ) -> Arc<Held> {
        let held = self.held.entry(identity);
        held.or_insert_with(|| new(&self.tokens).into()).clone()
    }

    /// Forgets the semaphores of which the guest has neither a handle nor a token.
    pub(crate) fn forget_unheld(&mut self) {
        self.held
            .retain(|_, held| Arc::strong_count(held) > 1 || held.state().count.amount() > 0);
    }
}

impl Held {
    pub(super) fn new(
        semaphore: Arc<Semaphore>,
        tokens: &Counter,
        entry: Entry,
        taken: Reservation,
        charge: Option<Arc<Charge>>,
    ) -> Self {
        // Between crossing out a token and the release nobody should be killed.
        Semaphore::prepare_release();
        Self {
            semaphore,
            tokens: tokens.clone(),
            state: Mutex::new(State {
                count: tokens.none(),
                entry,
            }),
            _taken: taken,
            _charge: charge,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the guest may hold one more.
    pub(crate) fn check_room(&self) -> Result<(), QuotaExceeded> {
        self.tokens.reserve(1).map(drop)
    }

    /// To be called after the guest has taken the semaphore. A host that is killed in
    /// between has lost the token, as without `undo`; the other order could give back
    /// what was never taken.
    pub(crate) fn acquired(&self) {
        let mut state = self.state();
        let more = state.count.amount() + 1;
        // There was room before.
        if state.count.resize(more).is_ok() {
            state.entry.set_held(more as u32);
        }
    }

    /// To be called before the guest releases the semaphore, for the same reason. What
    /// the guest does not hold is a new token, and is not undone. Says whether it was
    /// held.
    pub(crate) fn releases(&self) -> bool {
        let mut state = self.state();
        let Some(less) = state.count.amount().checked_sub(1) else {
            return false;
        };
        // Less than now: it cannot fail.
        let _ = state.count.resize(less);
        state.entry.set_held(less as u32);
        true
    }

    fn give_back(&self) {
        while self.releases() {
            if let Err(errno) = self.semaphore.release() {
                tracing::warn!("a semaphore could not be given back: {errno}");
                self.acquired();
                // As after a kill: whoever looks at the ledger next tries again.
                return std::mem::take(&mut self.state().entry).leave();
            }
        }
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        self.held.values().for_each(|held| held.give_back());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{Kind, Name};
    use crate::sys::semaphore::unlink;

    /// A peer can post a semaphore two thousand million times. To give back so many
    /// tokens would take minutes, and a ledger takes them for damage.
    #[test]
    fn a_guest_holds_no_more_than_can_be_given_back_at_once() {
        let name = Name::unique(Kind::Semaphore);
        let value = MOST_HELD + 3;
        let semaphore = Semaphore::create(&name, 0o600, value, |_| {}).unwrap();
        let semaphore = Arc::new(semaphore);
        unlink(&name).unwrap();
        let mut undo = Undo::default();
        let held = undo.of(semaphore.identity(), |tokens| {
            let taken = Counter::new(1, "", "").reserve(1).unwrap();
            Held::new(semaphore.clone(), tokens, Entry::default(), taken, None)
        });
        for _ in 0..MOST_HELD {
            held.check_room().unwrap();
            semaphore.try_acquire().unwrap();
            held.acquired();
        }
        assert!(held.check_room().is_err());
        assert!(held.releases());
        semaphore.release().unwrap();
        held.check_room().unwrap();
        assert_eq!(semaphore.value().unwrap(), 4);
        // The handle of the guest may outlive it.
        drop(undo);
        assert_eq!(semaphore.value().unwrap(), value);
    }
}
