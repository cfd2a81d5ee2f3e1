//! The limits of the running system.
//!
//! References: POSIX `sysconf`, Linux `mq_overview(7)`, `getrlimit(2)`, `tmpfs(5)`.

use super::Errno;
use super::memory_file::DIRECTORY;
use super::message_queue::QueueSize;
use nix::fcntl::{OFlag, open};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::Mode;
use nix::unistd::{SysconfVar, sysconf};

/// `SEM_VALUE_MAX`.
pub(crate) fn semaphore_value_max() -> u32 {
    system_value(SysconfVar::SEM_VALUE_MAX, i32::MAX as u32)
}

/// The highest priority: `MQ_PRIO_MAX` - 1.
pub(crate) fn queue_priority_max() -> u32 {
    system_value(SysconfVar::MQ_PRIO_MAX, 32768) - 1
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

/// The bytes of a page.
pub(crate) fn page_size() -> usize {
    // SAFETY: the call has no preconditions. That of nix clears `errno`, which a handler of
    // signals may not do.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

fn system_value(name: SysconfVar, otherwise: u32) -> u32 {
    let value = sysconf(name).ok().flatten();
    value
        .and_then(|value| u32::try_from(value).ok())
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

/// Why the system has refused a call, and which limit of its was met if it was one.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) errno: Errno,
    /// The limit, how to look at it and how to raise it, for the host's log.
    pub(crate) limit: Option<String>,
}

impl Refusal {
    /// By a call on shared memory or on a semaphore, which is a file there too.
    pub(crate) fn of_memory(errno: Errno) -> Self {
        let limit = match errno {
            Errno::ENOSPC => Some(format!(
                "the file system {DIRECTORY} is full; `df {DIRECTORY}` shows it, \
                 `mount -o remount,size=SIZE {DIRECTORY}` makes it larger"
            )),
            Errno::ENOMEM => {
                let most = setting("/proc/sys/vm/max_map_count");
                Some(format!(
                    "the system has no memory left, or this process has the most mappings that \
                     it may have ({most}); `sysctl vm.max_map_count` shows it, \
                     `sysctl -w vm.max_map_count=N` raises it"
                ))
            }
            errno => of_files(errno),
        };
        Self { errno, limit }
    }

    /// By a call on a queue, which was to be created with this size if one is given.
    pub(crate) fn of_queue(errno: Errno, size: Option<QueueSize>) -> Self {
        let limit = match errno {
            // Which of two limits it is the call does not say.
            Errno::EMFILE if has_descriptors() => Some(format!(
                "all queues of this user together take the most bytes that they may \
                     (RLIMIT_MSGQUEUE, {}); `ulimit -q` shows it, \
                     `prlimit --msgqueue=BYTES COMMAND` raises it",
                limit(Resource::RLIMIT_MSGQUEUE)
            )),
            Errno::ENOSPC => {
                let most = setting("/proc/sys/fs/mqueue/queues_max");
                Some(format!(
                    "the system has the most queues that it may have ({most}); \
                     `sysctl fs.mqueue.queues_max` shows it, \
                     `sysctl -w fs.mqueue.queues_max=N` raises it"
                ))
            }
            Errno::EINVAL => size.and_then(too_large),
            errno => of_files(errno),
        };
        Self { errno, limit }
    }
}

/// Which maximum of the system a queue would exceed.
fn too_large(size: QueueSize) -> Option<String> {
    let most = queue_maximums();
    [
        ("messages", size.max_messages, most.max_messages, "msg_max"),
        (
            "bytes in a message",
            size.max_message_size,
            most.max_message_size,
            "msgsize_max",
        ),
    ]
    .into_iter()
    .find(|(_, asked, most, _)| asked > most)
    .map(|(what, asked, most, setting)| {
        format!(
            "the system allows a queue {most} {what} and not {asked}; \
             `sysctl fs.mqueue.{setting}` shows it, `sysctl -w fs.mqueue.{setting}=N` raises it"
        )
    })
}

fn of_files(errno: Errno) -> Option<String> {
    match errno {
        Errno::EMFILE => Some(format!(
            "this process has the most open files that it may have (RLIMIT_NOFILE, {}); \
                 `ulimit -n` shows it, `ulimit -n N` raises it",
            limit(Resource::RLIMIT_NOFILE)
        )),
        Errno::ENFILE => Some(format!(
            "the system has the most open files that it may have ({}); \
             `sysctl fs.file-max` shows it, `sysctl -w fs.file-max=N` raises it",
            setting("/proc/sys/fs/file-max")
        )),
        _ => None,
    }
}

fn has_descriptors() -> bool {
    open("/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).is_ok()
}

/// A limit of this process, in words.
fn limit(resource: Resource) -> String {
    match getrlimit(resource) {
        Ok((libc::RLIM_INFINITY, _)) => "unlimited".into(),
        Ok((limit, _)) => limit.to_string(),
        Err(_) => "unknown".into(),
    }
}

fn setting(path: &str) -> String {
    std::fs::read_to_string(path).map_or_else(|_| "unknown".into(), |text| text.trim().into())
}
