//! The objects as a native program sees them: nothing of the library in between.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use wasmtime_posix_ipc::grant::Kind;

/// A prefix for names that nobody else uses, with its slash.
pub fn prefix() -> String {
    format!("/posix-ipc-fuzz-{:016x}.", rand::random::<u64>())
}

/// Which object a name leads to: device and inode.
pub fn identity(kind: Kind, name: &str) -> Option<(u64, u64)> {
    let about = match kind {
        Kind::Semaphore | Kind::SharedMemory => std::fs::metadata(path(kind, name)).ok()?,
        Kind::MessageQueue => File::from(queue(name)?).metadata().ok()?,
        other => unreachable!("{other} is new"),
    };
    Some((about.dev(), about.ino()))
}

fn path(kind: Kind, name: &str) -> String {
    let semaphore = if kind == Kind::Semaphore { "sem." } else { "" };
    format!("/dev/shm/{semaphore}{}", &name[1..])
}

/// Removes a name, and says whether it was there.
pub fn unlink(kind: Kind, name: &str) -> bool {
    let name = CString::new(name).expect("the names here have no NUL");
    // SAFETY: the name is a C string.
    let result = unsafe {
        match kind {
            Kind::Semaphore => libc::sem_unlink(name.as_ptr()),
            Kind::SharedMemory => libc::shm_unlink(name.as_ptr()),
            Kind::MessageQueue => libc::mq_unlink(name.as_ptr()),
            other => unreachable!("{other} is new"),
        }
    };
    result == 0
}

pub fn create_semaphore(name: &str, value: u32) {
    let name = CString::new(name).expect("the names here have no NUL");
    let flags = libc::O_CREAT | libc::O_EXCL;
    // SAFETY: the name is a C string; what was opened is closed.
    unsafe {
        let semaphore = libc::sem_open(name.as_ptr(), flags, 0o600, value);
        assert_ne!(semaphore, libc::SEM_FAILED, "{}", last_error());
        libc::sem_close(semaphore);
    }
}

/// The value of a semaphore, if there is one.
pub fn semaphore(name: &str) -> Option<u32> {
    let name = CString::new(name).expect("the names here have no NUL");
    let mut value = 0;
    // SAFETY: the name is a C string; what was opened is closed.
    unsafe {
        let semaphore = libc::sem_open(name.as_ptr(), 0);
        if semaphore == libc::SEM_FAILED {
            return None;
        }
        libc::sem_getvalue(semaphore, &mut value);
        libc::sem_close(semaphore);
    }
    u32::try_from(value).ok()
}

pub fn create_segment(name: &str, bytes: &[u8]) {
    std::fs::write(path(Kind::SharedMemory, name), bytes).expect("the name is new");
}

/// The bytes of a segment, if there is one.
pub fn segment(name: &str) -> Option<Vec<u8>> {
    std::fs::read(path(Kind::SharedMemory, name)).ok()
}

/// How many messages a queue holds, and of how many bytes they may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub messages: u32,
    pub bytes: u32,
}

/// A message in a queue: its priority and its bytes.
pub type Queued = (u32, Vec<u8>);

/// Creates a queue. One that is unfinished is as a host leaves it that was killed
/// while it created the queue.
pub fn create_queue(name: &str, size: Size, unfinished: bool) {
    let name = CString::new(name).expect("the names here have no NUL");
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR;
    let mode: libc::mode_t = if unfinished { 0o1600 } else { 0o600 };
    // SAFETY: zeros are valid attributes; the name is a C string; the descriptor is ours.
    unsafe {
        let mut attributes: libc::mq_attr = std::mem::zeroed();
        attributes.mq_maxmsg = size.messages.into();
        attributes.mq_msgsize = size.bytes.into();
        let queue = libc::mq_open(name.as_ptr(), flags, mode, &attributes);
        assert_ne!(queue, -1, "{}", last_error());
        drop(OwnedFd::from_raw_fd(queue));
    }
}

/// The size of a queue and, in the order of their arrival, its messages with their
/// priorities, if there is one. Takes them out of it.
pub fn drain_queue(name: &str) -> Option<(Size, Vec<Queued>)> {
    let queue = queue(name)?;
    let mut messages = Vec::new();
    // SAFETY: zeros are valid attributes, the descriptor is open, and the buffer has the
    // length given.
    unsafe {
        let mut attributes: libc::mq_attr = std::mem::zeroed();
        libc::mq_getattr(queue.as_raw_fd(), &mut attributes);
        let size = Size {
            messages: u32::try_from(attributes.mq_maxmsg).ok()?,
            bytes: u32::try_from(attributes.mq_msgsize).ok()?,
        };
        loop {
            let mut message = vec![0; size.bytes as usize];
            let mut priority = 0;
            let length = libc::mq_receive(
                queue.as_raw_fd(),
                message.as_mut_ptr().cast(),
                message.len(),
                &mut priority,
            );
            let Ok(length) = usize::try_from(length) else {
                return Some((size, messages));
            };
            message.truncate(length);
            messages.push((priority, message));
        }
    }
}

fn queue(name: &str) -> Option<OwnedFd> {
    let name = CString::new(name).expect("the names here have no NUL");
    // SAFETY: the name is a C string; the descriptor is ours.
    unsafe {
        let queue = libc::mq_open(name.as_ptr(), libc::O_RDONLY | libc::O_NONBLOCK);
        (queue != -1).then(|| OwnedFd::from_raw_fd(queue))
    }
}

fn last_error() -> std::io::Error {
    std::io::Error::last_os_error()
}
