//! Waits as futures.
//!
//! [`Semaphore::acquire_async`](crate::Semaphore::acquire_async),
//! [`Queue::receive_async`](crate::Queue::receive_async) and their kin wait without holding up
//! the guest's one thread, and so does every [`Pollable`] that is awaited. A future that is
//! dropped has taken nothing.
//!
//! ```no_run
//! # use posix_ipc_guest::{Access, Queue, Semaphore, future};
//! # use std::time::Duration;
//! # fn main() -> posix_ipc_guest::Result<()> {
//! let (jobs, turn) = (Queue::open("/jobs", Access::Read)?, Semaphore::open("/turn")?);
//! future::block_on(async {
//!     let job = future::timeout(Duration::from_secs(5), jobs.receive_async()).await;
//!     turn.acquire_async().await?;
//!     println!("{job:?}");
//!     turn.release()
//! })
//! # }
//! ```
//!
//! # Executors
//!
//! Which executor runs the futures does not matter, as long as somebody waits for the
//! pollables. [`block_on`] does both. An executor that can be run until nothing goes on, as
//! `LocalPool` of the crate `futures`, is run in turns with [`wait`]. And one that has a reactor
//! of its own for `wasi:io/poll`, as `wstd` has, is told of the pollables by [`set_reactor`].

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::{Pollable, poll};

/// What waits for a pollable: it wakes the waker once the pollable is ready. What it returns is
/// dropped when nobody is interested any more.
pub type Reactor = fn(Pollable, Waker) -> Box<dyn Any>;

/// A pollable that a future waits for, and whom to tell.
type Waiter = (Pollable, Waker);

thread_local! {
    static REACTOR: Cell<Reactor> = const { Cell::new(enter) };
    static WAITERS: RefCell<BTreeMap<u64, Waiter>> = const { RefCell::new(BTreeMap::new()) };
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

/// Has something else wait for the pollables of futures than [`block_on`] and [`wait`].
pub fn set_reactor(reactor: Reactor) {
    REACTOR.set(reactor);
}

/// Runs a future to its end, and waits where nothing else is to be done.
///
/// # Panics
///
/// Panics if the future waits for nothing that could ever wake it.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(woken.clone());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        while !woken.0.swap(false, Relaxed) {
            assert!(wait(), "the future waits for nothing that could wake it");
        }
    }
}

/// Waits until something is ready that a future waits for, and wakes that. False if there is
/// nothing to wait for.
pub fn wait() -> bool {
    let woken: Vec<Waiter> = WAITERS.with_borrow_mut(|waiters| {
        if waiters.is_empty() {
            return Vec::new();
        }
        let numbers: Vec<_> = waiters.keys().copied().collect();
        let pollables: Vec<_> = waiters.values().map(|(pollable, _)| pollable).collect();
        let ready = poll(&pollables).into_iter().map(|index| numbers[index]);
        ready.filter_map(|number| waiters.remove(&number)).collect()
    });
    // Whoever is woken may wait for something else at once.
    let any = !woken.is_empty();
    woken.into_iter().for_each(|(_, waker)| waker.wake());
    any
}

/// A future with an end: none if the time elapsed first.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
    let (mut future, mut timer) = (pin!(future), pin!(Pollable::after(duration).into_future()));
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => timer.as_mut().poll(context).map(|()| None),
    })
    .await
}

/// The reactor that [`wait`] is.
fn enter(pollable: Pollable, waker: Waker) -> Box<dyn Any> {
    let number = NEXT.get();
    NEXT.set(number + 1);
    WAITERS.with_borrow_mut(|waiters| waiters.insert(number, (pollable, waker)));
    Box::new(Entry(number))
}

struct Entry(u64);

impl Drop for Entry {
    fn drop(&mut self) {
        // At the end of the thread they may be gone.
        let _ = WAITERS.try_with(|waiters| waiters.borrow_mut().remove(&self.0));
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

/// The future of a [`Pollable`]: it ends when that is ready.
#[must_use = "nothing is waited for until it is awaited"]
pub struct Ready {
    state: State,
}

enum State {
    /// The reactor has not been told.
    New(Option<Pollable>),
    Waiting(
        Arc<Signal>,
        #[expect(unused, reason = "to be dropped")] Box<dyn Any>,
    ),
}

/// What the reactor wakes.
struct Signal {
    ready: AtomicBool,
    waker: Mutex<Waker>,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.ready.store(true, Relaxed);
        self.waker().wake_by_ref();
    }
}

impl Signal {
    fn waker(&self) -> std::sync::MutexGuard<'_, Waker> {
        self.waker
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ready").finish_non_exhaustive()
    }
}

impl IntoFuture for Pollable {
    type Output = ();
    type IntoFuture = Ready;

    fn into_future(self) -> Ready {
        let state = State::New(Some(self));
        Ready { state }
    }
}

impl Future for Ready {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.state {
            State::New(pollable) => {
                let Some(pollable) = pollable.take_if(|pollable| !pollable.ready()) else {
                    return Poll::Ready(());
                };
                let signal = Arc::new(Signal {
                    ready: AtomicBool::new(false),
                    waker: Mutex::new(context.waker().clone()),
                });
                let entry = REACTOR.get()(pollable, Waker::from(signal.clone()));
                self.state = State::Waiting(signal, entry);
            }
            State::Waiting(signal, _) if signal.ready.load(Relaxed) => return Poll::Ready(()),
            State::Waiting(signal, _) => signal.waker().clone_from(context.waker()),
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_is_run_until_it_is_ready() {
        let mut turns = 0;
        let future = std::future::poll_fn(|context| {
            turns += 1;
            context.waker().wake_by_ref();
            if turns < 3 {
                Poll::Pending
            } else {
                Poll::Ready(turns)
            }
        });
        assert_eq!(block_on(future), 3);
    }

    #[test]
    #[should_panic = "nothing that could wake it"]
    fn a_future_that_nothing_wakes_is_no_endless_wait() {
        block_on(std::future::pending::<()>());
    }
}
