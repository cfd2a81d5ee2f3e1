//! POSIX named semaphores, shared memory and message queues for WebAssembly components.
//!
//! A guest reaches the host's real objects, the same that native programs beside it
//! use, as far as its host has granted them by name. This crate is for guests only. For other
//! targets it can be checked and documented, but a program that uses it does not link: build with
//! `--target wasm32-wasip2`.
//!
//! ```no_run
//! use std::time::Duration;
//! use posix_ipc_guest::{Access, Queue, Segment, Semaphore};
//!
//! # fn main() -> posix_ipc_guest::Result<()> {
//! let frame = Segment::open("/frame", Access::ReadWrite)?;
//! let turn = Semaphore::open("/turn")?;
//! let jobs = Queue::open("/jobs", Access::Read)?;
//!
//! let job = jobs.receive_timeout(Duration::from_secs(5))?;
//! let guard = turn.lock_timeout(Duration::from_secs(1))?;
//! frame.write(0, &job.payload)?;
//! drop(guard); // Gives the semaphore back.
//! # Ok(())
//! # }
//! ```
//!
//! # Names
//!
//! A name starts with a slash and has no other, as in `/jobs`. The host decides which
//! names exist for a guest and what it may do with them. Every other name, and every
//! other use, fails with [`ErrorKind::NotPermitted`], whether or not there is such an
//! object.
//!
//! # Lifetime of objects
//!
//! Dropping a handle closes it. The object stays until its name is removed, with an
//! `unlink` function, and the last handle is closed. The host removes the names that the
//! guest created when the guest ends, unless it was told to keep them.
//!
//! # Timeouts
//!
//! Timeouts are measured on the monotonic clock. One of zero does not wait; one that is
//! longer than a `u64` of nanoseconds (584 years) counts as that long. Where a call has
//! both forms, the `try_` form says in its value that it would have had to wait, and the
//! `_timeout` form fails with [`ErrorKind::TimedOut`].

#![deny(missing_docs)]
#![deny(unsafe_code)]
#![warn(missing_debug_implementations, unreachable_pub)]

#[rustfmt::skip]
#[allow(missing_debug_implementations, unreachable_pub, unsafe_code)]
mod bindings;

#[cfg(feature = "direct")]
mod direct;
mod error;
pub mod future;
pub mod limits;
mod mapping;
mod message_queue;
#[cfg(not(target_family = "wasm"))]
mod native;
mod options;
mod poll;
mod semaphore;
mod shared_memory;
mod time;

pub use error::{Error, ErrorKind, Result};
pub use mapping::Mapping;
pub use message_queue::{Message, Notification, Queue, QueueAttributes, QueueLimits, QueueOptions};
pub use options::Access;
pub use poll::{Pollable, poll, poll_timeout};
pub use semaphore::{Semaphore, SemaphoreGuard, SemaphoreOptions};
pub use shared_memory::{Segment, SegmentOptions, SharedU32, SharedU64, WaitOutcome};
