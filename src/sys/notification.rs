//! Being told that a message arrived: `mq_notify`.
//!
//! The kernel knows one registration for each queue in the whole system, owned by a
//! process. It tells by a signal, by nothing, or by a datagram on a netlink socket,
//! which is what the C library builds its threads on. The datagram is used here: it
//! can be polled for, it is there when the send returns, and it belongs to the
//! registration and not to the process.
//!
//! One thing does belong to the process: closing any descriptor of the queue removes
//! the registration. [`super::queue_fd`] sees to that.
//!
//! References: POSIX `mq_notify`, Linux `mq_notify(2)`, and for the datagram
//! glibc `sysdeps/unix/sysv/linux/mq_notify.c`.

use super::message_queue::MessageQueue;
use super::queue_fd::{Registered, registered};
use super::{Errno, Identity, Result};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, socket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A registration. Dropping the last share of it cancels it.
pub(crate) struct Registration {
    socket: OwnedFd,
    /// Registered as long as it is open, see the top.
    queue: MessageQueue,
    identity: Identity,
    /// Which of the process's registrations it is.
    number: u64,
    state: AtomicU8,
}

const PENDING: u8 = 0;
const DELIVERED: u8 = 1;
const CANCELLED: u8 = 2;

impl Registration {
    /// Registers for the next message in the empty queue; `Errno::EBUSY` if anybody
    /// in the system has done so.
    pub(crate) fn new(queue: MessageQueue) -> Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, None)?;
        let identity = queue.identity()?;
        let mut registered = registered();
        notify(&queue, Some(&socket))?;
        let number = registered.add(identity);
        drop(registered);
        Ok(Self {
            socket,
            queue,
            identity,
            number,
            state: AtomicU8::new(PENDING),
        })
    }

    /// Whether the message has arrived.
    pub(crate) fn is_delivered(&self) -> bool {
        self.look() == DELIVERED
    }

    /// Whether there is nothing to wait for any more.
    pub(crate) fn is_over(&self) -> bool {
        self.look() != PENDING
    }

    /// Gives the registration up, unless it has been used.
    pub(crate) fn cancel(&self) {
        let mut registered = registered();
        // Under the lock: once it has been used, another guest may register, and
        // that one is not to be cancelled.
        if self.look_locked(&mut registered) == PENDING {
            let _ = notify(&self.queue, None);
            self.end(CANCELLED, &mut registered);
        }
    }

    fn look(&self) -> u8 {
        match self.state.load(Ordering::SeqCst) {
            PENDING => self.look_locked(&mut registered()),
            over => over,
        }
    }

    fn look_locked(&self, registered: &mut Registered) -> u8 {
        if self.state.load(Ordering::SeqCst) == PENDING {
            let mut datagram = [0; COOKIE];
            let flags = MsgFlags::MSG_DONTWAIT;
            let received = recv(self.socket.as_raw_fd(), &mut datagram, flags);
            match received.map(|length| datagram[..length].last().copied()) {
                Ok(Some(NOTIFY_WOKENUP)) => self.end(DELIVERED, registered),
                Ok(Some(NOTIFY_REMOVED)) => self.end(CANCELLED, registered),
                _ => {}
            }
        }
        self.state.load(Ordering::SeqCst)
    }

    fn end(&self, state: u8, registered: &mut Registered) {
        self.state.store(state, Ordering::SeqCst);
        registered.remove(self.identity, self.number);
    }

    /// Registers the socket with the poller of the current Tokio runtime. It becomes
    /// readable when the message arrives, and when the registration is cancelled.
    pub(crate) fn readiness(self: &Arc<Self>) -> std::io::Result<AsyncFd<Arc<Self>>> {
        // SAFETY: the socket never changes and stays open as long as `self`, which
        // the registration with the poller owns a share of.
        unsafe { AsyncFd::register_with_interest(self.clone(), Interest::READABLE) }
            .map_err(|error| error.into_parts().1)
    }
}

impl AsRawFd for Registration {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.socket.as_raw_fd()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// The length of the datagram. Its last byte says what happened.
const COOKIE: usize = 32;
const NOTIFY_WOKENUP: u8 = 1;
const NOTIFY_REMOVED: u8 = 2;

/// The system call itself: the C library's function would start a thread.
fn notify(queue: &MessageQueue, socket: Option<&OwnedFd>) -> Result<()> {
    let cookie = [0u8; COOKIE];
    // SAFETY: plain data, for which zero is valid.
    let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
    event.sigev_notify = libc::SIGEV_THREAD;
    event.sigev_value.sival_ptr = cookie.as_ptr().cast_mut().cast();
    let event = match socket {
        Some(socket) => {
            event.sigev_signo = socket.as_raw_fd();
            std::ptr::from_ref(&event)
        }
        None => std::ptr::null(),
    };
    // SAFETY: the descriptor is open; the event is null or valid, and its cookie is
    // copied before the call returns.
    let result = unsafe { libc::syscall(libc::SYS_mq_notify, queue.as_raw_fd(), event) };
    Errno::result(result)
        .map(drop)
        .map_err(|errno| match errno {
            // No netlink sockets here, which `mq_notify` itself would need as well.
            Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT => Errno::ENOTSUP,
            errno => errno,
        })
}

#[cfg(test)]
mod tests {
    use super::super::message_queue::{self, Direction, QueueSize};
    use super::*;
    use crate::name::{Kind, Name};

    /// Two handles of one queue, as two guests of one host have them.
    fn two() -> (MessageQueue, MessageQueue) {
        let name = Name::unique(Kind::MessageQueue);
        let size = QueueSize {
            max_messages: 4,
            max_message_size: 8,
        };
        let one = MessageQueue::create(&name, Direction::Both, 0o600, Some(size), |_| {});
        let two = MessageQueue::open(&name, Direction::Both);
        message_queue::unlink(&name).unwrap();
        (one.unwrap(), two.unwrap())
    }

    #[test]
    fn it_is_told_once_and_only_when_the_queue_was_empty() {
        let (one, two) = two();
        two.try_send(b"before", 0).unwrap();
        let told = Registration::new(one.clone()).unwrap();
        two.try_send(b"second", 0).unwrap();
        assert!(!told.is_delivered(), "the queue was not empty");
        two.try_receive(8, &mut Vec::new()).unwrap();
        two.try_receive(8, &mut Vec::new()).unwrap();
        assert!(!told.is_delivered());
        two.try_send(b"third", 0).unwrap();
        assert!(
            told.is_delivered(),
            "by the time that the send has returned"
        );
        // Used up, so that another one is possible.
        let again = Registration::new(two.clone()).unwrap();
        two.try_receive(8, &mut Vec::new()).unwrap();
        one.try_send(b"fourth", 0).unwrap();
        assert!(again.is_delivered());
    }

    #[test]
    fn guests_of_one_process_do_not_take_it_from_each_other() {
        let (one, two) = two();
        let first = Registration::new(one.clone()).unwrap();
        assert_eq!(Registration::new(two.clone()).err(), Some(Errno::EBUSY));
        drop(first);
        let second = Registration::new(two.clone()).unwrap();
        // Closing a handle would take the registration away from the whole process.
        drop(one);
        assert!(!second.is_over());
        two.try_send(b"it", 0).unwrap();
        assert!(second.is_delivered());
    }

    #[test]
    fn giving_up_one_that_was_used_leaves_the_next_one_alone() {
        let (one, two) = two();
        let first = Registration::new(one.clone()).unwrap();
        two.try_send(b"it", 0).unwrap();
        let second = Registration::new(two.clone()).unwrap();
        drop(first);
        two.try_receive(8, &mut Vec::new()).unwrap();
        one.try_send(b"again", 0).unwrap();
        assert!(second.is_delivered());
    }

    /// Whoever asked first was told and learns of it last: the next one must be known
    /// still, so that closing a handle does not end it.
    #[test]
    fn the_end_of_one_that_was_used_does_not_hide_the_next_one() {
        let ends: [fn(Registration); 2] = [drop, |first| assert!(first.is_delivered())];
        for end in ends {
            let (one, two) = two();
            let first = Registration::new(one.clone()).unwrap();
            two.try_send(b"it", 0).unwrap();
            two.try_receive(8, &mut Vec::new()).unwrap();
            let second = Registration::new(two.clone()).unwrap();
            end(first);
            drop(one);
            assert!(!second.is_over());
            two.try_send(b"again", 0).unwrap();
            assert!(second.is_delivered());
        }
    }

    /// Descriptors that were kept open as long as there is a registration would be a way
    /// to use up those of the process.
    #[test]
    fn a_queue_with_a_registration_is_closed_all_the_same() {
        let (one, two) = two();
        let identity = one.identity().unwrap();
        let registration = Registration::new(two.clone()).unwrap();
        let open = || {
            let of_queue = |descriptor: &std::ffi::OsString| {
                let path = std::path::Path::new("/proc/self/fd").join(descriptor);
                nix::sys::stat::stat(&path).is_ok_and(|stat| Identity::of(&stat) == identity)
            };
            let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
            let descriptors = descriptors.flatten().map(|entry| entry.file_name());
            descriptors.filter(of_queue).count()
        };
        assert_eq!(open(), 2);
        drop(one);
        assert_eq!(open(), 1);
        assert!(!registration.is_over());
        two.try_send(b"it", 0).unwrap();
        assert!(registration.is_delivered());
    }
}
