//! Message queues: `mq_open` and its family.
//!
//! References: POSIX `<mqueue.h>`, Linux `mq_overview(7)`.

use super::queue_fd::QueueFd;
use super::{Errno, Identity, Result, mode, permissions, retry_on_intr};
use crate::name::Name;
use nix::mqueue::{MQ_OFlag, MqAttr, MqdT, mq_getattr, mq_open, mq_receive, mq_send, mq_unlink};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, lstat};
use nix::sys::statfs::{FsType, statfs};
use nix::unistd::geteuid;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// An open message queue, closed when the last share of it is dropped. Its descriptor never blocks: waiting is
/// done by polling it, which Linux allows.
#[derive(Clone)]
pub(crate) struct MessageQueue(Arc<QueueFd>);

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
    pub(crate) fn open(name: &Name, direction: Direction) -> Result<Self> {
        mq_open(name.as_c_str(), flags(direction), Mode::empty(), None).map(Self::from)
    }

    /// Creates a queue that must not exist; without a size it has the system's
    /// default one. `created` is told which object it is.
    ///
    /// A queue cannot be made without a name. So that one is recognised which was
    /// made a moment before its maker died, it has a mark until `created` returns.
    pub(crate) fn create(
        name: &Name,
        direction: Direction,
        bits: u32,
        size: Option<QueueSize>,
        created: impl FnOnce(Identity),
    ) -> Result<Self> {
        let flags = flags(direction) | MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL;
        let marked = mode(bits & 0o777) | UNFINISHED;
        let attributes = size
            .map(|size| MqAttr::new(0, size.max_messages.into(), size.max_message_size.into(), 0));
        let this = Self::from(mq_open(
            name.as_c_str(),
            flags,
            marked,
            attributes.as_ref(),
        )?);
        let finished = this.stat().and_then(|stat| {
            created(Identity::of(&stat));
            // What the umask has left of the mode.
            fchmod(&this, mode(permissions(&stat)))
        });
        match finished {
            Ok(()) => Ok(this),
            Err(errno) => {
                let _ = this
                    .has_name()
                    .is_ok_and(|named| named)
                    .then(|| unlink(name));
                Err(errno)
            }
        }
    }

    pub(crate) fn identity(&self) -> Result<Identity> {
        self.stat().map(|stat| Identity::of(&stat))
    }

    /// The permission bits.
    pub(crate) fn mode(&self) -> Result<u32> {
        self.stat().map(|stat| permissions(&stat))
    }

    /// Whether the queue still has its name. It has only ever one, which is neither
    /// changed nor given again: the file system of queues knows no links and no renaming.
    /// So this says, without opening anything, that the name leads to this queue.
    pub(crate) fn has_name(&self) -> Result<bool> {
        self.stat().map(|stat| stat.st_nlink > 0)
    }

    fn stat(&self) -> Result<FileStat> {
        fstat(self)
    }

    /// `mq_getattr`.
    pub(crate) fn attributes(&self) -> Result<Attributes> {
        let attributes = mq_getattr(self.0.get())?;
        let number = |value: libc::c_long| u32::try_from(value).unwrap_or(u32::MAX);
        Ok(Attributes {
            size: QueueSize {
                max_messages: number(attributes.maxmsg()),
                max_message_size: number(attributes.msgsize()),
            },
            current_messages: number(attributes.curmsgs()),
        })
    }

    /// `mq_send`; `Errno::EAGAIN` if the queue is full.
    pub(crate) fn try_send(&self, payload: &[u8], priority: u32) -> Result<()> {
        retry_on_intr(|| mq_send(self.0.get(), payload, priority))
    }

    /// `mq_receive`: replaces what is in `payload` by a message of up to `longest`
    /// bytes, which must be the longest of the queue. Gives the priority;
    /// `Errno::EAGAIN` if the queue is empty.
    pub(crate) fn try_receive(&self, longest: usize, payload: &mut Vec<u8>) -> Result<u32> {
        payload.clear();
        payload.reserve_exact(longest);
        let room = &mut payload.spare_capacity_mut()[..longest];
        let mut priority = 0;
        // What `mq_receive` of nix does, for which the room would have to be filled first.
        let length = retry_on_intr(|| {
            let (queue, buffer) = (self.as_raw_fd(), room.as_mut_ptr().cast());
            // SAFETY: the queue is open, and there is room for that many bytes.
            Errno::result(unsafe { libc::mq_receive(queue, buffer, longest, &mut priority) })
        })?;
        // SAFETY: the call wrote that many bytes, and no more than there is room for.
        unsafe { payload.set_len(length as usize) };
        Ok(priority)
    }

    /// `mq_receive` over the first bytes of a buffer, which must have room for the longest
    /// message of the queue. Gives length and priority.
    pub(crate) fn try_receive_into(&self, buffer: &mut [u8]) -> Result<(usize, u32)> {
        let mut priority = 0;
        let length = retry_on_intr(|| mq_receive(self.0.get(), buffer, &mut priority))?;
        Ok((length, priority))
    }
}

impl AsFd for MessageQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get().as_fd()
    }
}

impl AsRawFd for MessageQueue {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.get().as_raw_fd()
    }
}

impl From<MqdT> for MessageQueue {
    fn from(queue: MqdT) -> Self {
        Self(Arc::new(queue.into()))
    }
}

/// Registers a queue with the poller of the current Tokio runtime.
pub(crate) fn readiness(queue: MessageQueue) -> std::io::Result<AsyncFd<MessageQueue>> {
    let interest = Interest::READABLE | Interest::WRITABLE;
    // SAFETY: the queue's descriptor never changes and stays open as long as the
    // queue, which the registration owns a share of.
    unsafe { AsyncFd::register_with_interest(queue, interest) }
        .map_err(|error| error.into_parts().1)
}

/// `mq_unlink`.
pub(crate) fn unlink(name: &Name) -> Result<()> {
    mq_unlink(name.as_c_str())
}

/// The object that a name leads to now.
pub(crate) fn identify(name: &Name) -> Result<Identity> {
    inspect(name).map(|stat| Identity::of(&stat))
}

/// The object that a name leads to now, if its maker has not finished it: see
/// [`MessageQueue::create`]. Only this user's queues count.
pub(crate) fn identify_unfinished(name: &Name) -> Result<Option<Identity>> {
    let stat = inspect(name)?;
    let ours = stat.st_uid == geteuid().as_raw();
    Ok((ours && stat.st_mode & UNFINISHED.bits() != 0).then(|| Identity::of(&stat)))
}

/// Queues have no directory that is always there, so the queue is opened in whichever
/// direction its mode allows. One that cannot be opened, as its mode or a lease of a peer
/// forbids it, can be looked at where the directory is.
fn inspect(name: &Name) -> Result<FileStat> {
    let opened = MessageQueue::open(name, Direction::Receive).or_else(|errno| match errno {
        Errno::EACCES => MessageQueue::open(name, Direction::Send),
        _ => Err(errno),
    });
    match opened {
        Ok(queue) => queue.stat(),
        Err(Errno::ENOENT) => Err(Errno::ENOENT),
        // Not found there, it is a queue of another namespace that the directory shows.
        Err(errno) => inspect_file(name).map_err(|_| errno),
    }
}

fn inspect_file(name: &Name) -> Result<FileStat> {
    let is_shown = statfs(DIRECTORY)?.filesystem_type() == FILE_SYSTEM;
    let file = name.stem();
    match is_shown {
        true => lstat(format!("{DIRECTORY}/{file}").as_str()),
        false => Err(Errno::ENOENT),
    }
}

/// Where the file system of queues is usually mounted.
pub(super) const DIRECTORY: &str = "/dev/mqueue";

/// `MQUEUE_MAGIC` of Linux: what `statfs` calls that file system.
pub(super) const FILE_SYSTEM: FsType = FsType(0x1980_0202);

/// The sticky bit, which means nothing for a queue.
const UNFINISHED: Mode = Mode::S_ISVTX;

fn flags(direction: Direction) -> MQ_OFlag {
    let direction = match direction {
        Direction::Receive => MQ_OFlag::O_RDONLY,
        Direction::Send => MQ_OFlag::O_WRONLY,
        Direction::Both => MQ_OFlag::O_RDWR,
    };
    direction | MQ_OFlag::O_NONBLOCK | MQ_OFlag::O_CLOEXEC
}
