//! Message queues: `mq_open` and its family.
//!
//! References: POSIX `<mqueue.h>`, Linux `mq_overview(7)`.

use super::{Errno, Identity, Result, c_name, check, notification, retry_on_intr};
use rustix::fs::{Mode, Stat};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// An open message queue, closed on drop. Its descriptor never blocks: waiting is
/// done by polling it, which Linux allows.
pub(crate) struct MessageQueue {
    descriptor: ManuallyDrop<OwnedFd>,
}

/// The directions that a queue is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Receive,
    Send,
    Both,
}

/// The size of a queue: `mq_maxmsg` and `mq_msgsize`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueSize {
    pub(crate) max_messages: u32,
    pub(crate) max_message_size: u32,
}

/// `struct mq_attr`, less its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) size: QueueSize,
    pub(crate) current_messages: u32,
}

impl MessageQueue {
    /// Opens an existing queue.
    pub(crate) fn open(name: &str, direction: Direction) -> Result<Self> {
        let name = c_name(name)?;
        // SAFETY: the name is a C string.
        Self::from_raw(unsafe { libc::mq_open(name.as_ptr(), flags(direction)) })
    }

    /// Creates a queue that must not exist; without a size it has the system's
    /// default one. `created` is told which object it is.
    ///
    /// A queue cannot be made without a name. So that one is recognised which was
    /// made a moment before its maker died, it has a mark until `created` returns.
    pub(crate) fn create(
        name: &str,
        direction: Direction,
        mode: u32,
        size: Option<QueueSize>,
        created: impl FnOnce(Identity),
    ) -> Result<Self> {
        let c_name = c_name(name)?;
        let flags = flags(direction) | libc::O_CREAT | libc::O_EXCL;
        let mode = mode & 0o777 | UNFINISHED;
        let attributes = size.map(|size| {
            // SAFETY: plain data, for which zero is valid.
            let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
            attributes.mq_maxmsg = size.max_messages.into();
            attributes.mq_msgsize = size.max_message_size.into();
            attributes
        });
        let attributes = attributes
            .as_ref()
            .map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the name is a C string; the attributes are null or valid.
        let this =
            Self::from_raw(unsafe { libc::mq_open(c_name.as_ptr(), flags, mode, attributes) })?;
        let stat = this.stat()?;
        created(Identity::of(&stat));
        // What the umask has left of the mode.
        rustix::fs::fchmod(&this, Mode::from_raw_mode(stat.st_mode & 0o777))?;
        Ok(this)
    }

    fn from_raw(descriptor: libc::mqd_t) -> Result<Self> {
        let descriptor = check(descriptor)?;
        // SAFETY: `mq_open` has just given us this descriptor, which on Linux is a
        // file descriptor.
        Ok(Self {
            descriptor: ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        })
    }

    pub(crate) fn identity(&self) -> Result<Identity> {
        self.stat().map(|stat| Identity::of(&stat))
    }

    /// The permission bits.
    pub(crate) fn mode(&self) -> Result<u32> {
        self.stat()
            .map(|stat| Mode::from_raw_mode(stat.st_mode).as_raw_mode() & 0o777)
    }

    /// Another descriptor of a queue that its mode lets nobody open, by which its name is
    /// recognised: see [`Self::is_at`]. None of one that can be opened.
    pub(crate) fn dup_fd(&self) -> Result<Option<Self>> {
        const OWNER: u32 = 0o600;
        if self.mode()? & OWNER != 0 {
            return Ok(None);
        }
        let descriptor = rustix::io::fcntl_dupfd_cloexec(self, 0)?;
        Ok(Some(Self {
            descriptor: ManuallyDrop::new(descriptor),
        }))
    }

    /// Whether the name leads to this queue. Its owner may read it for that moment.
    pub(crate) fn is_at(&self, name: &str) -> Result<bool> {
        const OWNER_READS: u32 = 0o400;
        let mode = self.mode()?;
        rustix::fs::fchmod(self, Mode::from_raw_mode(mode | OWNER_READS))?;
        let there = identify(name);
        rustix::fs::fchmod(self, Mode::from_raw_mode(mode))?;
        match there {
            Ok(identity) => Ok(identity == self.identity()?),
            // This one can be opened, so it is another.
            Err(Errno::ACCESS) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    fn stat(&self) -> Result<Stat> {
        rustix::fs::fstat(self)
    }

    /// `mq_getattr`.
    pub(crate) fn attributes(&self) -> Result<Attributes> {
        // SAFETY: plain data, for which zero is valid; the descriptor is open.
        let attributes = unsafe {
            let mut attributes: libc::mq_attr = std::mem::zeroed();
            check(libc::mq_getattr(
                self.descriptor.as_raw_fd(),
                &mut attributes,
            ))?;
            attributes
        };
        let number = |value: libc::c_long| u32::try_from(value).unwrap_or(u32::MAX);
        Ok(Attributes {
            size: QueueSize {
                max_messages: number(attributes.mq_maxmsg),
                max_message_size: number(attributes.mq_msgsize),
            },
            current_messages: number(attributes.mq_curmsgs),
        })
    }

    /// `mq_send`; `Errno::AGAIN` if the queue is full.
    pub(crate) fn try_send(&self, payload: &[u8], priority: u32) -> Result<()> {
        retry_on_intr(|| {
            // SAFETY: the descriptor is open, and the payload has the length given.
            check(unsafe {
                libc::mq_send(
                    self.descriptor.as_raw_fd(),
                    payload.as_ptr().cast(),
                    payload.len(),
                    priority,
                )
            })
        })
        .map(|_| ())
    }

    /// `mq_receive`: replaces what is in `payload` by a message of up to `longest`
    /// bytes, which must be the longest of the queue. Gives the priority;
    /// `Errno::AGAIN` if the queue is empty.
    pub(crate) fn try_receive(&self, longest: usize, payload: &mut Vec<u8>) -> Result<u32> {
        payload.clear();
        payload.reserve_exact(longest);
        let room = &mut payload.spare_capacity_mut()[..longest];
        // SAFETY: there is room for `longest` bytes.
        let (length, priority) = unsafe { self.receive_to(room.as_mut_ptr().cast(), longest)? };
        // SAFETY: the call wrote that many bytes, and no more than there is room for.
        unsafe { payload.set_len(length) };
        Ok(priority)
    }

    /// `mq_receive` over the first bytes of a buffer, which must have room for the longest
    /// message of the queue. Gives length and priority.
    pub(crate) fn try_receive_into(&self, buffer: &mut [u8]) -> Result<(usize, u32)> {
        // SAFETY: that is the buffer's length.
        unsafe { self.receive_to(buffer.as_mut_ptr(), buffer.len()) }
    }

    /// # Safety
    ///
    /// At `buffer` there must be `room` bytes to write to.
    unsafe fn receive_to(&self, buffer: *mut u8, room: usize) -> Result<(usize, u32)> {
        let mut priority = 0;
        let length = retry_on_intr(|| {
            // SAFETY: the descriptor is open, and the caller has room for that length.
            let length = unsafe {
                libc::mq_receive(
                    self.descriptor.as_raw_fd(),
                    buffer.cast(),
                    room,
                    &mut priority,
                )
            };
            if length < 0 {
                Err(super::last_errno())
            } else {
                Ok(length as usize)
            }
        })?;
        Ok((length, priority))
    }
}

impl Drop for MessageQueue {
    fn drop(&mut self) {
        // SAFETY: the field is not used after this.
        notification::close(unsafe { ManuallyDrop::take(&mut self.descriptor) });
    }
}

impl AsFd for MessageQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl AsRawFd for MessageQueue {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.descriptor.as_raw_fd()
    }
}

/// Registers a queue with the poller of the current Tokio runtime.
pub(crate) fn readiness(queue: Arc<MessageQueue>) -> std::io::Result<AsyncFd<Arc<MessageQueue>>> {
    let interest = Interest::READABLE | Interest::WRITABLE;
    // SAFETY: the queue's descriptor never changes and stays open as long as the
    // queue, which the registration owns a share of.
    unsafe { AsyncFd::register_with_interest(queue, interest) }
        .map_err(|error| error.into_parts().1)
}

/// `mq_unlink`.
pub(crate) fn unlink(name: &str) -> Result<()> {
    let name = c_name(name)?;
    // SAFETY: the name is a C string.
    check(unsafe { libc::mq_unlink(name.as_ptr()) }).map(|_| ())
}

/// The object that a name leads to now.
pub(crate) fn identify(name: &str) -> Result<Identity> {
    inspect(name).map(|stat| Identity::of(&stat))
}

/// The object that a name leads to now, if its maker has not finished it: see
/// [`MessageQueue::create`]. Only this user's queues count.
pub(crate) fn identify_unfinished(name: &str) -> Result<Option<Identity>> {
    let stat = inspect(name)?;
    let ours = stat.st_uid == rustix::process::geteuid().as_raw();
    Ok((ours && stat.st_mode & UNFINISHED != 0).then(|| Identity::of(&stat)))
}

/// Queues have no directory that is always there, so the queue is opened in whichever
/// direction its mode allows.
fn inspect(name: &str) -> Result<Stat> {
    MessageQueue::open(name, Direction::Receive)
        .or_else(|errno| match errno {
            Errno::ACCESS => MessageQueue::open(name, Direction::Send),
            _ => Err(errno),
        })?
        .stat()
}

/// The sticky bit, which means nothing for a queue.
const UNFINISHED: libc::mode_t = 0o1000;

fn flags(direction: Direction) -> libc::c_int {
    let direction = match direction {
        Direction::Receive => libc::O_RDONLY,
        Direction::Send => libc::O_WRONLY,
        Direction::Both => libc::O_RDWR,
    };
    direction | libc::O_NONBLOCK | libc::O_CLOEXEC
}
