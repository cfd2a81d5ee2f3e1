//! Quotas: how much one guest may hold.
//!
//! The system's own limits are shared by all guests and all native programs of a
//! user, so one guest that takes everything would stop the others. A [`Quota`]
//! keeps each well below them. What a guest is about to take is reserved before it
//! is made: a guest that reaches its limit has not left anything behind.
//!
//! ```
//! use wasmtime_posix_ipc::quota::{Quota, Resource};
//!
//! let mut quota = Quota::default();
//! quota.handles = 64;
//! // The same for whoever reads it from a file.
//! Resource::Handles.set_limit(&mut quota, 64);
//! assert_eq!(Resource::Handles.key(), "handles");
//! ```

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Makes [`Quota`] and [`Resource`] of one table: what a limit is called in Rust, what it
/// limits in words, whether in bytes, and its default.
macro_rules! limits {
    ($($(#[$doc:meta])* $field:ident, $resource:ident, $key:literal: $what:literal, $unit:ident, $default:expr;)*) => {
        /// The limits of one guest, over all kinds of objects.
        ///
        /// The defaults leave room for a demanding guest, and for a machine full of them.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Quota {
            $($(#[$doc])* pub $field: u64,)*
            /// The longest that a single wait may take; a guest that asks for longer gets
            /// the time-out of this. None by default. It does not limit for how long a guest
            /// polls pollables.
            pub wait: Option<Duration>,
        }

        impl Default for Quota {
            fn default() -> Self {
                Self { $($field: $default,)* wait: None }
            }
        }

        /// What a quota limits, but for the time of a wait.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Resource {
            $(#[doc = concat!("See [`Quota::", stringify!($field), "`].")] $resource,)*
        }

        impl Resource {
            /// Everything that is limited.
            pub const ALL: &'static [Self] = &[$(Self::$resource,)*];

            /// What is counted, in words.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$resource => $what,)* }
            }

            /// Whether bytes are counted.
            pub const fn is_bytes(self) -> bool {
                match self { $(Self::$resource => limits!(@ $unit),)* }
            }

            /// Its limit in a quota.
            pub const fn limit(self, quota: &Quota) -> u64 {
                match self { $(Self::$resource => quota.$field,)* }
            }

            /// Changes its limit in a quota.
            pub const fn set_limit(self, quota: &mut Quota, limit: u64) {
                match self { $(Self::$resource => quota.$field = limit,)* }
            }

            /// Its key in a manifest, such as `shm-bytes`.
            pub const fn key(self) -> &'static str {
                match self { $(Self::$resource => $key,)* }
            }

            /// Its flag of the command, such as `--max-shm-bytes`.
            pub const fn flag(self) -> &'static str {
                match self { $(Self::$resource => concat!("--max-", $key),)* }
            }
        }
    };
    (@ count) => { false };
    (@ bytes) => { true };
}

limits! {
    /// Open semaphores, segments and queues, mappings and notifications: 256.
    handles, Handles, "handles": "open handles", count, 256;
    /// Objects that the guest created and that still have their name or are open in any
    /// guest of the host, and segments of others that it has grown: 64.
    created, Created, "created": "created objects", count, 64;
    /// Bytes of shared memory that the guest created or grew: 64 MiB.
    shm_bytes, ShmBytes, "shm-bytes": "bytes of shared memory", bytes, 64 << 20;
    /// Bytes of the queues that the guest created, as the product of how many
    /// messages they hold and how long those may be: 256 KiB.
    mq_bytes, MqBytes, "mq-bytes": "bytes of queues", bytes, 256 << 10;
    /// Bytes of one message: 64 KiB. A queue with longer messages cannot be
    /// opened, since the host needs room for one whole message to receive any.
    message_size, MessageSize, "message-size": "bytes of a message", bytes, 64 << 10;
    /// Pollables: 1024.
    pollables, Pollables, "pollables": "pollables", count, 1024;
    /// Mappings of objects into the guest's memory: 64. Each takes two of the memory maps
    /// that the system allows a process (`vm.max_map_count`, 65530 by default).
    mappings, Mappings, "mappings": "mappings", count, 64;
    /// Bytes of the objects that the guest has mapped into its memory: 1 GiB.
    mapping_bytes, MappingBytes, "mapping-bytes": "bytes of mappings", bytes, 1 << 30;
    /// Bytes of the guest's own memory, over all its memories and tables: 1 GiB. For the
    /// store to keep to it takes [`limit_store`](crate::limit_store).
    memory, Memory, "memory": "bytes of the guest's memory", bytes, 1 << 30;
}

/// What one guest holds, measured against its [`Quota`]. Clones are the same
/// account, also when the guest is gone.
#[derive(Clone, Debug)]
pub struct Usage {
    quota: Arc<Quota>,
    /// In the order of [`Resource::ALL`].
    counters: Arc<[Counter]>,
}

impl Usage {
    /// An account of a guest that holds nothing.
    pub(crate) fn new(quota: Quota) -> Self {
        let counter = |resource: &Resource| {
            let value = if resource.is_bytes() { "SIZE" } else { "N" };
            let remedy = format!("{} {value}", resource.flag());
            Counter::new(resource.limit(&quota), resource.what(), remedy)
        };
        Self {
            counters: Resource::ALL.iter().map(counter).collect(),
            quota: Arc::new(quota),
        }
    }

    /// The limits.
    pub fn quota(&self) -> &Quota {
        &self.quota
    }

    /// Takes an amount, until the reservation is dropped.
    pub(crate) fn reserve(
        &self,
        resource: Resource,
        amount: u64,
    ) -> Result<Reservation, QuotaExceeded> {
        self.counters[resource as usize].reserve(amount)
    }

    /// Checks the length that the messages of a queue may have. Nothing is taken for
    /// longer than that.
    pub(crate) fn check_message_size(&self, bytes: u64) -> Result<(), QuotaExceeded> {
        self.reserve(Resource::MessageSize, bytes).map(drop)
    }

    /// How much of a resource the guest holds now. Of [`Resource::MessageSize`] it is 0:
    /// that limits each message.
    pub fn used(&self, resource: Resource) -> u64 {
        self.counters[resource as usize].used()
    }
}

/// A number that is counted up to a limit. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Counter(Arc<Account>);

#[derive(Debug)]
struct Account {
    limit: u64,
    used: AtomicU64,
    what: Cow<'static, str>,
    remedy: Cow<'static, str>,
}

impl Counter {
    /// Counts from 0 to `limit`. `what` names the things that are counted, and
    /// `remedy` what raises the limit, such as a flag: both are for the message of
    /// [`QuotaExceeded`].
    pub(crate) fn new(
        limit: u64,
        what: impl Into<Cow<'static, str>>,
        remedy: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Arc::new(Account {
            limit,
            used: AtomicU64::new(0),
            what: what.into(),
            remedy: remedy.into(),
        }))
    }

    /// Takes an amount, until the reservation is dropped.
    pub(crate) fn reserve(&self, amount: u64) -> Result<Reservation, QuotaExceeded> {
        self.take(amount)?;
        Ok(Reservation {
            counter: self.clone(),
            amount,
        })
    }

    /// Nothing, which can be resized.
    pub(crate) fn none(&self) -> Reservation {
        Reservation {
            counter: self.clone(),
            amount: 0,
        }
    }

    /// How much is taken.
    fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    // The count orders nothing but itself: what is reserved is handed from thread
    // to thread by other means. So every access is relaxed.

    fn take(&self, amount: u64) -> Result<(), QuotaExceeded> {
        let Account { limit, used, .. } = &*self.0;
        used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(amount).filter(|sum| sum <= limit)
        })
        .map(drop)
        .map_err(|used| QuotaExceeded {
            what: self.0.what.clone(),
            limit: *limit,
            used,
            asked: amount,
            remedy: self.0.remedy.clone(),
        })
    }

    /// Only for what was taken.
    fn give_back(&self, amount: u64) {
        self.0.used.fetch_sub(amount, Ordering::Relaxed);
    }
}

/// An amount that is taken. Dropping it gives the amount back.
#[derive(Debug)]
#[must_use = "dropping a reservation gives it back"]
pub(crate) struct Reservation {
    counter: Counter,
    amount: u64,
}

impl Reservation {
    /// How much is taken.
    pub(crate) fn amount(&self) -> u64 {
        self.amount
    }

    /// Takes more, or gives part of it back, so that `amount` is taken. If there is
    /// not enough left, nothing changes.
    pub(crate) fn resize(&mut self, amount: u64) -> Result<(), QuotaExceeded> {
        match amount.checked_sub(self.amount) {
            Some(more) => self.counter.take(more)?,
            None => self.counter.give_back(self.amount - amount),
        }
        self.amount = amount;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.counter.give_back(self.amount);
    }
}

/// A guest asked for more than it may hold. The message is for the host's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QuotaExceeded {
    what: Cow<'static, str>,
    limit: u64,
    used: u64,
    asked: u64,
    remedy: Cow<'static, str>,
}

impl fmt::Display for QuotaExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            limit,
            used,
            asked,
            remedy,
        } = self;
        write!(f, "the limit of {limit} {what} does not allow {asked}")?;
        if *used > 0 {
            write!(f, " more: {used} in use")?;
        }
        write!(f, "; raise it with {remedy}")
    }
}

impl std::error::Error for QuotaExceeded {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn usage(change: impl FnOnce(&mut Quota)) -> Usage {
        let mut quota = Quota::default();
        change(&mut quota);
        Usage::new(quota)
    }

    #[test]
    fn a_reservation_is_given_back_when_it_is_dropped() {
        let usage = usage(|quota| quota.created = 2);
        let first = usage.reserve(Resource::Created, 1).unwrap();
        let second = usage.reserve(Resource::Created, 1).unwrap();
        assert!(usage.reserve(Resource::Created, 1).is_err());
        drop(first);
        assert_eq!(usage.used(Resource::Created), 1);
        drop(second);
        assert_eq!(usage.used(Resource::Created), 0);
    }

    #[test]
    fn every_resource_has_its_own_limit() {
        let quota = Quota::default();
        let usage = Usage::new(quota.clone());
        let all: Vec<_> = Resource::ALL
            .iter()
            .map(|&resource| {
                let limit = resource.limit(&quota);
                assert!(usage.reserve(resource, limit + 1).is_err());
                usage.reserve(resource, limit).unwrap()
            })
            .collect();
        for (&resource, held) in Resource::ALL.iter().zip(&all) {
            assert_eq!(held.amount(), usage.used(resource));
            assert!(usage.reserve(resource, 1).is_err());
        }
    }

    #[test]
    fn clones_share_the_account() {
        let usage = usage(|quota| quota.handles = 1);
        let clone = usage.clone();
        let held = clone.reserve(Resource::Handles, 1).unwrap();
        assert!(usage.reserve(Resource::Handles, 1).is_err());
        drop((clone, held));
        assert!(usage.reserve(Resource::Handles, 1).is_ok());
    }

    #[test]
    fn a_refused_resize_changes_nothing() {
        let usage = usage(|quota| quota.shm_bytes = 100);
        let mut held = usage.reserve(Resource::ShmBytes, 40).unwrap();
        let other = usage.reserve(Resource::ShmBytes, 10).unwrap();

        held.resize(90).unwrap();
        let error = held.resize(91).unwrap_err();
        assert_eq!((error.used, error.asked, error.limit), (100, 1, 100));
        assert_eq!((held.amount(), usage.used(Resource::ShmBytes)), (90, 100));

        held.resize(5).unwrap();
        assert_eq!(usage.used(Resource::ShmBytes), 15);
        drop(other);
        held.resize(0).unwrap();
        assert_eq!(usage.used(Resource::ShmBytes), 0);
    }

    #[test]
    fn amounts_from_guests_neither_overflow_nor_panic() {
        let usage = usage(|quota| quota.shm_bytes = u64::MAX);
        let mut all = usage.reserve(Resource::ShmBytes, u64::MAX).unwrap();
        assert!(usage.reserve(Resource::ShmBytes, u64::MAX).is_err());
        assert!(usage.reserve(Resource::ShmBytes, 1).is_err());
        assert!(usage.reserve(Resource::ShmBytes, 0).is_ok());
        all.resize(1).unwrap();
        assert!(usage.reserve(Resource::ShmBytes, u64::MAX).is_err());
        all.resize(u64::MAX).unwrap();
        drop(all);
        assert_eq!(usage.used(Resource::ShmBytes), 0);
    }

    #[test]
    fn a_limit_of_zero_allows_nothing() {
        let counter = Counter::new(0, "things", "more");
        assert!(counter.reserve(1).is_err());
        assert!(counter.reserve(0).is_ok());
    }

    #[test]
    fn racing_threads_never_exceed_the_limit() {
        const LIMIT: u64 = 5;
        let counter = Counter::new(LIMIT, "things", "more");
        thread::scope(|scope| {
            for step in 1..=4 {
                let counter = &counter;
                scope.spawn(move || {
                    let mut taken = 0;
                    while taken < 20_000 {
                        let Ok(mut held) = counter.reserve(step) else {
                            thread::yield_now();
                            continue;
                        };
                        taken += 1;
                        assert!(counter.used() <= LIMIT);
                        let _ = held.resize(step % 3 + 1);
                        assert!(counter.used() <= LIMIT);
                    }
                });
            }
        });
        assert_eq!(counter.used(), 0);
    }

    #[test]
    fn the_message_says_what_to_do() {
        let usage = usage(|quota| quota.handles = 3);
        let _held = usage.reserve(Resource::Handles, 3).unwrap();
        assert_eq!(
            usage.reserve(Resource::Handles, 1).unwrap_err().to_string(),
            "the limit of 3 open handles does not allow 1 more: 3 in use; raise it with --max-handles N"
        );
        assert_eq!(
            usage.check_message_size(100_000).unwrap_err().to_string(),
            "the limit of 65536 bytes of a message does not allow 100000; raise it with --max-message-size SIZE"
        );
        assert!(usage.check_message_size(65536).is_ok());
        assert_eq!(
            Counter::new(4, "objects of /render.*", "max=N in its grant")
                .reserve(5)
                .unwrap_err()
                .to_string(),
            "the limit of 4 objects of /render.* does not allow 5; raise it with max=N in its grant"
        );
    }
}
