//! Semaphores that a guest still holds when it ends, given back as `SEM_UNDO` of
//! System V semaphores does.

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
}

impl Undo {
    /// The counter for a semaphore.
    pub(crate) fn of(&mut self, semaphore: &Arc<Semaphore>) -> Arc<Held> {
        let new = || Held {
            semaphore: semaphore.clone(),
            count: AtomicU32::new(0),
        };
        self.held
            .entry(semaphore.identity())
            .or_insert_with(|| new().into())
            .clone()
    }
}

impl Held {
    pub(crate) fn acquired(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// A release of what the guest does not hold is a new token, and is not undone.
    pub(crate) fn released(&self) {
        let less = |count: u32| count.checked_sub(1);
        let _ = self
            .count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        for held in self.held.values() {
            for _ in 0..held.count.load(Ordering::Relaxed) {
                if let Err(errno) = held.semaphore.release() {
                    tracing::warn!("a semaphore could not be given back: {errno}");
                    break;
                }
            }
        }
    }
}
