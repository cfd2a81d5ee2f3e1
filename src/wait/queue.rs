//! Waiting for room or for a message in a queue, by its descriptor.

use super::{Canceller, WaitMode, Waits, limited};
use crate::error::{Error, ErrorCode};
use crate::sys::message_queue::MessageQueue;
use crate::sys::notification::Registration;
use crate::sys::{self, Errno};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A queue that tasks can wait for. It is registered with the runtime's poller at
/// the first wait, so that a guest which never waits does not pay for it.
pub(crate) struct PollableQueue {
    readiness: OnceLock<AsyncFd<Arc<MessageQueue>>>,
    queue: Arc<MessageQueue>,
}

impl PollableQueue {
    pub(crate) fn new(queue: MessageQueue) -> Self {
        Self {
            readiness: OnceLock::new(),
            queue: queue.into(),
        }
    }

    pub(crate) fn get(&self) -> &MessageQueue {
        &self.queue
    }

    /// For what needs the queue beyond this handle.
    pub(crate) fn share(&self) -> Arc<MessageQueue> {
        self.queue.clone()
    }

    fn readiness(&self) -> Result<&AsyncFd<Arc<MessageQueue>>, Error> {
        if self.readiness.get().is_none() {
            let readiness = sys::message_queue::readiness(self.queue.clone())
                .map_err(|error| ErrorCode::Other(Some(error.to_string())))?;
            let _ = self.readiness.set(readiness);
        }
        self.readiness
            .get()
            .ok_or_else(|| ErrorCode::Other(None).into())
    }

    /// Waits until the queue holds a message, or an error that the next call on it
    /// will report.
    pub(crate) async fn readable(&self) {
        let held = |queue: &MessageQueue| queue.attributes().map(|now| now.current_messages > 0);
        self.ready(Interest::READABLE, held).await;
    }

    /// Waits until the queue has room for a message.
    pub(crate) async fn writable(&self) {
        let room = |queue: &MessageQueue| {
            queue
                .attributes()
                .map(|now| now.current_messages < now.size.max_messages)
        };
        self.ready(Interest::WRITABLE, room).await;
    }

    async fn ready(
        &self,
        interest: Interest,
        is_ready: impl Fn(&MessageQueue) -> sys::Result<bool>,
    ) {
        let look = || match is_ready(&self.queue) {
            Ok(false) => Err(Errno::EAGAIN),
            _ => Ok(()),
        };
        if look().is_err()
            && let Ok(readiness) = self.readiness()
        {
            let _ = parked(readiness, interest, look).await;
        }
    }
}

impl Waits {
    /// Sends a message.
    pub(crate) async fn send(
        &self,
        queue: &PollableQueue,
        payload: &[u8],
        priority: u32,
        wait_mode: WaitMode,
        canceller: &Canceller,
    ) -> Result<(), Error> {
        let send = || queue.get().try_send(payload, priority);
        self.transfer(queue, Interest::WRITABLE, send, wait_mode, canceller)
            .await
    }

    /// Receives a message of up to `longest` bytes into a buffer; gives its priority.
    pub(crate) async fn receive(
        &self,
        queue: &PollableQueue,
        longest: usize,
        payload: &mut Vec<u8>,
        wait_mode: WaitMode,
        canceller: &Canceller,
    ) -> Result<u32, Error> {
        let receive = || queue.get().try_receive(longest, payload);
        self.transfer(queue, Interest::READABLE, receive, wait_mode, canceller)
            .await
    }

    async fn transfer<T>(
        &self,
        queue: &PollableQueue,
        interest: Interest,
        mut attempt: impl FnMut() -> sys::Result<T>,
        wait_mode: WaitMode,
        canceller: &Canceller,
    ) -> Result<T, Error> {
        match attempt() {
            Err(Errno::EAGAIN) => {}
            done => return done.map_err(Error::from),
        }
        let WaitMode::Until(deadline) = wait_mode else {
            return Err(ErrorCode::Busy.into());
        };
        if canceller.is_cancelled() {
            return Err(ErrorCode::Cancelled.into());
        }
        if inline_wait(queue, interest, self.inline.min(deadline.remaining())) {
            match attempt() {
                Err(Errno::EAGAIN) => {}
                done => return done.map_err(Error::from),
            }
        }
        let readiness = queue.readiness()?;
        limited(parked(readiness, interest, attempt), deadline, canceller).await
    }
}

/// Waits until a registration for the arrival of a message is used or given up.
pub(crate) async fn notified(registration: &Arc<Registration>) {
    if registration.is_over() {
        return;
    }
    let Ok(readiness) = registration.readiness() else {
        return;
    };
    while let Ok(mut ready) = readiness.readable().await {
        if registration.is_over() {
            return;
        }
        ready.clear_ready();
    }
}

async fn parked<T>(
    readiness: &AsyncFd<Arc<MessageQueue>>,
    interest: Interest,
    mut attempt: impl FnMut() -> sys::Result<T>,
) -> Result<T, Error> {
    loop {
        let mut ready = readiness
            .ready(interest)
            .await
            .map_err(|error| ErrorCode::Other(Some(error.to_string())))?;
        // Forgets the readiness before it tries, and only if there was nothing: an
        // event that comes in between is seen at the next turn.
        let tried = ready.try_io(|_| match attempt() {
            Err(Errno::EAGAIN) => Err(io::ErrorKind::WouldBlock.into()),
            done => Ok(done),
        });
        if let Ok(Ok(done)) = tried {
            return done.map_err(Error::from);
        }
    }
}

/// Blocks this thread for a moment. Says whether it is worth trying again.
fn inline_wait(queue: &PollableQueue, interest: Interest, limit: Duration) -> bool {
    let events = if interest.is_readable() {
        PollFlags::POLLIN
    } else {
        PollFlags::POLLOUT
    };
    let limit = TimeSpec::from_duration(limit);
    let mut descriptors = [PollFd::new(queue.get().as_fd(), events)];
    matches!(ppoll(&mut descriptors, Some(limit), None), Ok(1..))
}
