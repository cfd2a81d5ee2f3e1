//! The objects of the machine, whoever made them: to look at, to use, and to remove.
//!
//! This is for the operator of a machine and knows no grants. What is listed may be
//! gone or changed by the time it is read: nothing is locked or mapped.
//!
//! ```no_run
//! use wasmtime_posix_ipc::grant::Kind;
//! use wasmtime_posix_ipc::objects::{self, Content};
//!
//! for object in objects::list(Kind::MessageQueue)? {
//!     if let Content::MessageQueue { messages, .. } = object.content {
//!         println!("{}: {messages} messages wait", object.name);
//!     }
//! }
//! # Ok::<(), objects::ListError>(())
//! ```

mod semaphore;

use crate::name::{Kind, Name};
use crate::sys::{self, Identity, listing, message_queue, shared_memory};
use std::io;

pub use crate::sys::listing::{Content, ListError, Object};
pub use semaphore::Semaphore;

/// The objects of one kind. Semaphores and shared memory are those of the mount
/// namespace of this process, queues those of its IPC namespace. The memory of
/// semaphores does not count as shared memory.
///
/// Queues are read from `/dev/mqueue` where that is mounted, and else from a mount
/// that nobody else sees and that goes with the call. That takes the privilege to
/// mount (`CAP_SYS_ADMIN`).
///
/// # Errors
///
/// If the objects cannot be listed; the message says what would help.
pub fn list(kind: Kind) -> Result<Vec<Object>, ListError> {
    match kind {
        Kind::Semaphore => listing::semaphores(),
        Kind::SharedMemory => listing::shared_memory(),
        Kind::MessageQueue => listing::message_queues(),
    }
}

/// Removes a name. Who has the object open keeps using it; it goes when the last
/// one closes it. Similar to `sem_unlink`, `shm_unlink` and `mq_unlink` in POSIX.
///
/// # Errors
///
/// What the system call answers.
pub fn unlink(name: &Name) -> io::Result<()> {
    Ok(remove(name)?)
}

pub(crate) fn remove(name: &Name) -> sys::Result<()> {
    match name.kind() {
        Kind::Semaphore => sys::semaphore::unlink(name),
        Kind::SharedMemory => shared_memory::unlink(name),
        Kind::MessageQueue => message_queue::unlink(name),
    }
}

/// The object that a name leads to now.
pub(crate) fn identify(name: &Name) -> sys::Result<Identity> {
    match name.kind() {
        Kind::Semaphore => sys::semaphore::identify(name),
        Kind::SharedMemory => shared_memory::identify(name),
        Kind::MessageQueue => message_queue::identify(name),
    }
}
