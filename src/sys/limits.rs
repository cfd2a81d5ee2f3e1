//! The limits of the running system.
//!
//! References: POSIX `sysconf`, Linux `mq_overview(7)`.

use super::message_queue::QueueSize;

/// `SEM_VALUE_MAX`.
pub(crate) fn semaphore_value_max() -> u32 {
    system_value(libc::_SC_SEM_VALUE_MAX, i32::MAX as u32)
}

/// The highest priority: `MQ_PRIO_MAX` - 1.
pub(crate) fn queue_priority_max() -> u32 {
    system_value(libc::_SC_MQ_PRIO_MAX, 32768) - 1
}

/// The size of a queue that is created without one.
pub(crate) fn queue_defaults() -> QueueSize {
    QueueSize {
        max_messages: queue_setting("msg_default", 10),
        max_message_size: queue_setting("msgsize_default", 8192),
    }
}

/// The largest queue that an unprivileged process may create.
pub(crate) fn queue_maximums() -> QueueSize {
    QueueSize {
        max_messages: queue_setting("msg_max", 10),
        max_message_size: queue_setting("msgsize_max", 8192),
    }
}

pub(crate) fn page_size() -> u32 {
    u32::try_from(rustix::param::page_size()).unwrap_or(4096)
}

fn system_value(name: libc::c_int, otherwise: u32) -> u32 {
    // SAFETY: `sysconf` takes any number and answers -1 to one it does not know.
    let value = unsafe { libc::sysconf(name) };
    u32::try_from(value)
        .ok()
        .filter(|&value| value > 0)
        .unwrap_or(otherwise)
}

/// A kernel without queues has no settings; its own defaults stand in.
fn queue_setting(name: &str, otherwise: u32) -> u32 {
    std::fs::read_to_string(format!("/proc/sys/fs/mqueue/{name}"))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(otherwise)
}
