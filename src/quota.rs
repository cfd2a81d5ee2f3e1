//! Quotas: how much one guest may hold.
//!
//! The system's own limits are shared by all guests and all native programs of a
//! user, so one guest that takes everything would stop the others. A [`Quota`]
//! keeps each well below them. What a guest is about to take is reserved before it
//! is made: a guest that reaches its limit has not left anything behind.
//!
//! ```
//! use wasmtime_posix_ipc::quota::{Quota, Resource, Usage};
//!
//! let mut quota = Quota::default();
//! quota.handles = 2;
//! let usage = Usage::new(quota);
//!
//! let first = usage.reserve(Resource::Handles, 1)?;
//! let second = usage.reserve(Resource::Handles, 1)?;
//! assert!(usage.reserve(Resource::Handles, 1).is_err());
//! drop(first);
//! assert!(usage.reserve(Resource::Handles, 1).is_ok());
//! # drop(second);
//! # Ok::<(), wasmtime_posix_ipc::quota::QuotaExceeded>(())
//! ```

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The limits of one guest, over all kinds of objects.
///
/// The defaults leave room for a demanding guest, and for a machine full of them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// Open semaphores, segments and queues, mappings and notifications: 256.
    pub handles: u64,
    /// Objects that the guest created and that still have their name, and segments of
    /// others that it has grown: 64.
    pub created: u64,
    /// Bytes of shared memory that the guest created or grew: 64 MiB.
    pub shm_bytes: u64,
    /// Bytes of the queues that the guest created, as the product of how many
    /// messages they hold and how long those may be: 256 KiB.
    pub mq_bytes: u64,
    /// Bytes of one message: 64 KiB. A queue with longer messages cannot be
    /// opened, since the host needs room for one whole message to receive any.
    pub message_size: u64,
    /// Pollables: 1024.
    pub pollables: u64,
    /// Mappings of objects into the guest's memory: 64. Each takes two of the memory maps
    /// that the system allows a process (`vm.max_map_count`, 65530 by default).
    pub mappings: u64,
    /// Bytes of the objects that the guest has mapped into its memory: 1 GiB.
    pub mapping_bytes: u64,
    /// Bytes of the guest's own memory, over all its memories and tables: 1 GiB. For the
    /// store to keep to it takes [`limit_store`](crate::limit_store).
    pub memory: u64,
    /// The longest that a single wait may take; a guest that asks for longer gets
    /// the time-out of this. None by default. It does not limit for how long a guest
    /// polls pollables.
    pub wait: Option<Duration>,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            handles: 256,
            created: 64,
            shm_bytes: 64 << 20,
            mq_bytes: 256 << 10,
            message_size: 64 << 10,
            pollables: 1024,
            mappings: 64,
            mapping_bytes: 1 << 30,
            memory: 1 << 30,
            wait: None,
        }
    }
}

/// What a guest takes, gives back, and is limited in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// See [`Quota::handles`].
    Handles,
    /// See [`Quota::created`].
    Created,
    /// See [`Quota::shm_bytes`].
    ShmBytes,
    /// See [`Quota::mq_bytes`].
    MqBytes,
    /// See [`Quota::pollables`].
    Pollables,
    /// See [`Quota::mappings`].
    Mappings,
    /// See [`Quota::mapping_bytes`].
    MappingBytes,
    /// See [`Quota::memory`].
    Memory,
}

impl Resource {
    const ALL: [Self; 8] = [
        Self::Handles,
        Self::Created,
        Self::ShmBytes,
        Self::MqBytes,
        Self::Pollables,
        Self::Mappings,
        Self::MappingBytes,
        Self::Memory,
    ];

    fn limit(self, quota: &Quota) -> u64 {
        match self {
            Self::Handles => quota.handles,
            Self::Created => quota.created,
            Self::ShmBytes => quota.shm_bytes,
            Self::MqBytes => quota.mq_bytes,
            Self::Pollables => quota.pollables,
            Self::Mappings => quota.mappings,
            Self::MappingBytes => quota.mapping_bytes,
            Self::Memory => quota.memory,
        }
    }

    const fn what(self) -> &'static str {
        match self {
            Self::Handles => "open handles",
            Self::Created => "created objects",
            Self::ShmBytes => "bytes of shared memory",
            Self::MqBytes => "bytes of queues",
            Self::Pollables => "pollables",
            Self::Mappings => "mappings",
            Self::MappingBytes => "bytes of mappings",
            Self::Memory => "bytes of the guest's memory",
        }
    }

    const fn flag(self) -> &'static str {
        match self {
            Self::Handles => "--max-handles N",
            Self::Created => "--max-created N",
            Self::ShmBytes => "--max-shm-bytes SIZE",
            Self::MqBytes => "--max-mq-bytes SIZE",
            Self::Pollables => "--max-pollables N",
            Self::Mappings => "--max-mappings N",
            Self::MappingBytes => "--max-mapping-bytes SIZE",
            Self::Memory => "--max-memory SIZE",
        }
    }
}

/// What one guest holds, measured against its [`Quota`]. Clones are the same
/// account.
#[derive(Clone, Debug)]
pub struct Usage {
    quota: Arc<Quota>,
    counters: [Counter; Resource::ALL.len()],
}

impl Usage {
    /// An account of a guest that holds nothing.
    pub fn new(quota: Quota) -> Self {
        let counters = Resource::ALL
            .map(|resource| Counter::new(resource.limit(&quota), resource.what(), resource.flag()));
        Self {
            quota: Arc::new(quota),
            counters,
        }
    }

    /// The limits.
    pub fn quota(&self) -> &Quota {
        &self.quota
    }

    /// Takes an amount, until the reservation is dropped.
    pub fn reserve(&self, resource: Resource, amount: u64) -> Result<Reservation, QuotaExceeded> {
        self.counter(resource).reserve(amount)
    }

    /// How much is taken.
    pub fn used(&self, resource: Resource) -> u64 {
        self.counter(resource).used()
    }

    /// Checks the length that the messages of a queue may have. Nothing is taken.
    pub fn check_message_size(&self, bytes: u64) -> Result<(), QuotaExceeded> {
        if bytes <= self.quota.message_size {
            return Ok(());
        }
        Err(QuotaExceeded {
            what: "bytes of a message".into(),
            limit: self.quota.message_size,
            used: 0,
            asked: bytes,
            remedy: "--max-message-size SIZE".into(),
        })
    }

    fn counter(&self, resource: Resource) -> &Counter {
        &self.counters[resource as usize]
    }
}

/// A number that is counted up to a limit. Clones count together.
#[derive(Clone, Debug)]
pub struct Counter(Arc<Account>);

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
    pub fn new(
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
    pub fn reserve(&self, amount: u64) -> Result<Reservation, QuotaExceeded> {
        self.take(amount)?;
        Ok(Reservation {
            counter: self.clone(),
            amount,
        })
    }

    /// How much is taken.
    pub fn used(&self) -> u64 {
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
pub struct Reservation {
    counter: Counter,
    amount: u64,
}

impl Reservation {
    /// How much is taken.
    pub fn amount(&self) -> u64 {
        self.amount
    }

    /// Takes more, or gives part of it back, so that `amount` is taken. If there is
    /// not enough left, nothing changes.
    pub fn resize(&mut self, amount: u64) -> Result<(), QuotaExceeded> {
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
pub struct QuotaExceeded {
    what: Cow<'static, str>,
    limit: u64,
    used: u64,
    asked: u64,
    remedy: Cow<'static, str>,
}

impl QuotaExceeded {
    /// What is limited, in words.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The limit.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// How much was taken already.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// How much was asked for in addition.
    pub fn asked(&self) -> u64 {
        self.asked
    }
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
        let all = Resource::ALL.map(|resource| {
            let limit = resource.limit(&quota);
            assert!(usage.reserve(resource, limit + 1).is_err());
            usage.reserve(resource, limit).unwrap()
        });
        for (resource, held) in Resource::ALL.into_iter().zip(&all) {
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
        assert_eq!((error.used(), error.asked(), error.limit()), (100, 1, 100));
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
