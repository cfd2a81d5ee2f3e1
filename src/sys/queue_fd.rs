//! The descriptor of a queue, and how it is closed.
//!
//! Closing any descriptor of a queue removes the notification that the process has
//! registered for, whichever descriptor it was registered through. So while there is one,
//! another process closes them, see [`super::close`].
//!
//! References: Linux `mq_notify(2)`.

use super::{Identity, close};
use nix::mqueue::MqdT;
use nix::sys::stat::fstat;
use std::collections::HashMap;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{LazyLock, Mutex, MutexGuard};

/// A descriptor of a queue. Dropping it closes it, which ends no notification.
pub(super) struct QueueFd(MqdT);

impl QueueFd {
    pub(super) fn get(&self) -> &MqdT {
        &self.0
    }
}

impl From<MqdT> for QueueFd {
    fn from(queue: MqdT) -> Self {
        Self(queue)
    }
}

impl Drop for QueueFd {
    fn drop(&mut self) {
        // SAFETY: `MqdT` has no `drop` of its own, and the field is not used after this.
        let descriptor = unsafe { OwnedFd::from_raw_fd(self.0.as_raw_fd()) };
        // Until it is closed, so that nobody registers in between.
        let registered = registered();
        let is_registered = || {
            let stat = fstat(&descriptor);
            stat.is_ok_and(|stat| registered.latest.contains_key(&Identity::of(&stat)))
        };
        if registered.latest.is_empty() || !is_registered() {
            drop(descriptor);
        } else if let Err(errno) = close::by_another(descriptor) {
            // Whoever registered learns of it.
            tracing::warn!("a notification of a queue is lost: no child can be made: {errno}");
        }
    }
}

/// The queues with a registration of this process, and the latest one of each: an
/// earlier one has been used, and may not have looked yet.
#[derive(Default)]
pub(super) struct Registered {
    latest: HashMap<Identity, u64>,
    made: u64,
}

impl Registered {
    pub(super) fn add(&mut self, identity: Identity) -> u64 {
        self.made += 1;
        self.latest.insert(identity, self.made);
        self.made
    }

    /// Removes that one, and not one that came after it.
    pub(super) fn remove(&mut self, identity: Identity, number: u64) {
        if self.latest.get(&identity) == Some(&number) {
            self.latest.remove(&identity);
        }
    }
}

static REGISTERED: LazyLock<Mutex<Registered>> = LazyLock::new(Mutex::default);

/// The registrations, which nobody else changes meanwhile.
pub(super) fn registered() -> MutexGuard<'static, Registered> {
    REGISTERED
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
