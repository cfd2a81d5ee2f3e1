//! The turns of the guests: one goes on at a time, until it has done something that others
//! can notice or has to wait.
//!
//! A guest is a future. A future that has yielded has woken itself; one whose timer has
//! gone off has been woken by it. A wait for an object is parked here, with a look at the
//! object that says whether it could go on. So who can run is known, and if nobody can and
//! no timer is pending, nobody ever will.

use crate::wait::{Park, Parked};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// What the guests of a run share: whose turn it is, and who is parked.
#[derive(Default)]
pub(super) struct Scheduler {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whose turn it is.
    current: usize,
    parked: BTreeMap<u64, (usize, Parked)>,
    next: u64,
}

impl Scheduler {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_current(&self, guest: usize) {
        self.state().current = guest;
    }

    /// Whether a wait of this guest could go on.
    pub(super) fn can_go_on(&self, guest: usize) -> bool {
        let state = self.state();
        state
            .parked
            .values()
            .any(|(of, parked)| *of == guest && parked.is_ready())
    }
}

impl Park for Scheduler {
    fn park(&self, parked: Parked) -> u64 {
        let mut state = self.state();
        let place = state.next;
        state.next += 1;
        let guest = state.current;
        state.parked.insert(place, (guest, parked));
        place
    }

    fn leave(&self, place: u64) {
        self.state().parked.remove(&place);
    }
}

/// Whether a guest's future was woken, and who is to be told.
#[derive(Default)]
pub(super) struct Turn {
    woken: AtomicBool,
    driver: Mutex<Option<Waker>>,
}

impl Turn {
    /// A turn that has not begun: the guest can run.
    pub(super) fn new() -> Arc<Self> {
        let this = Self::default();
        this.woken.store(true, Ordering::Relaxed);
        Arc::new(this)
    }

    pub(super) fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }

    /// Whether it is woken; if not, the driver will be when it is.
    pub(super) fn poll_woken(&self, context: &Context<'_>) -> Poll<()> {
        *self.driver.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        match self.is_woken() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    pub(super) fn begin(&self) {
        self.woken.store(false, Ordering::Release);
    }
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(driver) = &*driver {
            driver.wake_by_ref();
        }
    }
}
