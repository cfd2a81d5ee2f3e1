//! What the running system allows. The values can change while a guest runs.

use crate::QueueLimits;
use crate::bindings::posix::ipc::limits as raw;

/// The highest value of a semaphore. Similar to `SEM_VALUE_MAX` in POSIX.
#[must_use]
pub fn semaphore_value_max() -> u32 {
    raw::semaphore_value_max()
}

/// The highest priority of a message. Similar to `MQ_PRIO_MAX` less one in POSIX.
#[must_use]
pub fn queue_priority_max() -> u32 {
    raw::queue_priority_max()
}

/// The size of a queue that is created without [limits](crate::QueueOptions::limits).
#[must_use]
pub fn queue_defaults() -> QueueLimits {
    raw::queue_defaults().into()
}

/// The largest size of a queue that an unprivileged process may create.
#[must_use]
pub fn queue_maximums() -> QueueLimits {
    raw::queue_maximums().into()
}

/// The size of a memory page in bytes, of which the offset of a
/// [mapping](crate::Segment::map) is a multiple.
#[must_use]
pub fn page_size() -> u32 {
    raw::page_size()
}
