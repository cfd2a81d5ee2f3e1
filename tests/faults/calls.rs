//! The system calls of a host, and how each can fail.

use super::scenario::{Scenario, Subject};
use std::collections::BTreeMap;
use std::path::Path;

/// Each call with the errors that a system gives when it is short of something, or that a
/// security module gives. Not `futex`: it is called to wake more than to wait, and to wake
/// does not fail.
pub const FAULTS: [(&str, &[&str]); 38] = [
    (
        "openat",
        &[
            "EMFILE", "ENFILE", "EACCES", "ENOMEM", "EINTR", "EIO", "ENOENT",
        ],
    ),
    (
        "mq_open",
        &["EMFILE", "ENFILE", "ENOSPC", "ENOMEM", "EACCES", "EINTR"],
    ),
    ("mq_unlink", &["EACCES", "ENOMEM"]),
    ("mq_timedsend", &["EINTR", "ENOMEM", "EAGAIN"]),
    ("mq_timedreceive", &["EINTR", "ENOMEM", "EAGAIN"]),
    ("mq_getsetattr", &["EBADF", "ENOMEM"]),
    ("mq_notify", &["ENOMEM", "EBUSY"]),
    ("unlink", &["EACCES", "EIO", "ENOMEM"]),
    ("unlinkat", &["EACCES", "EIO", "ENOMEM"]),
    ("link", &["EACCES", "ENOSPC", "EIO", "EMLINK"]),
    ("linkat", &["EACCES", "ENOSPC", "EIO", "ENOENT"]),
    ("ftruncate", &["EINTR", "EIO", "ENOSPC"]),
    ("fallocate", &["EINTR", "EIO", "ENOSPC", "EOPNOTSUPP"]),
    ("mmap", &["ENOMEM", "EAGAIN", "EACCES"]),
    ("munmap", &["ENOMEM"]),
    ("mprotect", &["ENOMEM", "EACCES"]),
    ("fstat", &["ENOMEM", "EIO"]),
    ("newfstatat", &["ENOMEM", "EACCES", "EIO"]),
    ("statx", &["ENOMEM", "EACCES", "ENOSYS"]),
    ("fchmod", &["EIO", "EPERM"]),
    ("fcntl", &["EMFILE", "EAGAIN"]),
    ("read", &["EINTR", "EIO", "ENOMEM"]),
    ("pread64", &["EINTR", "EIO", "ENOMEM"]),
    ("write", &["EINTR", "EIO", "ENOSPC"]),
    ("pwrite64", &["EINTR", "EIO", "ENOSPC"]),
    ("futex_waitv", &["EINTR", "ENOMEM", "ENOSYS"]),
    ("epoll_create1", &["EMFILE", "ENFILE", "ENOMEM"]),
    ("epoll_ctl", &["ENOMEM", "ENOSPC"]),
    ("epoll_wait", &["EINTR"]),
    ("eventfd2", &["EMFILE", "ENFILE", "ENOMEM"]),
    ("socket", &["EMFILE", "ENFILE", "ENOMEM"]),
    ("socketpair", &["EMFILE", "ENFILE", "ENOMEM"]),
    ("poll", &["EINTR", "ENOMEM"]),
    ("clone3", &["EAGAIN", "ENOMEM"]),
    ("flock", &["EINTR", "ENOLCK"]),
    ("rename", &["EACCES", "EIO", "ENOSPC"]),
    ("renameat", &["EACCES", "EIO", "ENOSPC"]),
    ("getdents64", &["EIO", "ENOMEM"]),
];

/// How often a thread of the host makes each call, at most.
pub fn count(strace: &Path, subject: &Subject) -> BTreeMap<&'static str, usize> {
    let mut scenario = Scenario::new(subject);
    let log = scenario.path("calls");
    let names = FAULTS.map(|(name, _)| format!("?{name}"));
    let options = ["-o", &log, "-e", &format!("trace={}", names.join(","))];
    // What is compiled for the first time makes other calls.
    for _ in 0..2 {
        let ended = scenario.end(&mut scenario.host(strace, &options));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!ended.stdout.contains("error not-permitted"), "{ended:?}");
    }
    assert_eq!(scenario.problem(None), None);
    let log = std::fs::read_to_string(&log).unwrap();
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in log.lines() {
        let Some((thread, call)) = line.split_once(' ') else {
            continue;
        };
        // What is resumed was counted when it began.
        let call = call.trim_start();
        let end = call.find('(').unwrap_or(0);
        if !call.starts_with('<') {
            *counts.entry((thread, &call[..end])).or_default() += 1;
        }
    }
    let most = |name: &str| {
        let of_name = counts.iter().filter(|((_, call), _)| *call == name);
        of_name.map(|(_, count)| *count).max()
    };
    FAULTS
        .iter()
        .filter_map(|(name, _)| Some((*name, most(name)?)))
        .collect()
}
