//! Waiting for room or for a message in a queue, by its descriptor.

use super::{Park, WaitMode, Waiter, Waits, limited, park};
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
    parking: Option<Arc<dyn Park>>,
    readiness: OnceLock<AsyncFd<MessageQueue>>,
    queue: MessageQueue,
}

impl PollableQueue {
    pub(crate) fn new(queue: MessageQueue, waits: &Waits) -> Self {
        Self {
            parking: waits.parking.clone(),
            readiness: OnceLock::new(),
            queue,
        }
    }

    pub(crate) fn get(&self) -> &MessageQueue {
        &self.queue
    }

    fn readiness(&self) -> sys::Result<&AsyncFd<MessageQueue>> {
        if self.readiness.get().is_none() {
            let readiness = sys::message_queue::readiness(self.queue.clone()).map_err(errno)?;
            let _ = self.readiness.set(readiness);
        }
        self.readiness.get().ok_or(Errno::EIO)
    }

    /// Waits until the queue holds a message, or an error that the next call on it
    /// will report.
    pub(crate) async fn readable(&self) {
        self.ready(Interest::READABLE).await;
    }

    /// Waits until the queue has room for a message.
    pub(crate) async fn writable(&self) {
        self.ready(Interest::WRITABLE).await;
    }

    async fn ready(&self, interest: Interest) {
        let is_ready = is_ready(&self.queue, interest);
        if let Some(parking) = &self.parking {
            return park::until(parking, is_ready).await;
        }
        let look = || match is_ready() {
            false => Err(Errno::EAGAIN),
            true => Ok(()),
        };
        if look().is_err()
            && let Ok(readiness) = self.readiness()
        {
            let _ = parked(readiness, interest, look).await;
        }
    }
}

/// Whether a queue has a message or room for one, or the next call on it fails.
fn is_ready(
    queue: &MessageQueue,
    interest: Interest,
) -> impl Fn() -> bool + Clone + Send + Unpin + use<> {
    let queue = queue.clone();
    move || match queue.attributes() {
        Ok(now) if interest.is_readable() => now.current_messages > 0,
        Ok(now) => now.current_messages < now.size.max_messages,
        Err(_) => true,
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
        waiter: impl Into<Waiter<'_>>,
    ) -> sys::Result<()> {
        let send = || queue.get().try_send(payload, priority);
        self.transfer(queue, Interest::WRITABLE, send, wait_mode, waiter.into())
            .await
    }

    /// Receives a message of up to `longest` bytes into a buffer; gives its priority.
    pub(crate) async fn receive(
        &self,
        queue: &PollableQueue,
        longest: usize,
        payload: &mut Vec<u8>,
        wait_mode: WaitMode,
        waiter: impl Into<Waiter<'_>>,
    ) -> sys::Result<u32> {
        let receive = || queue.get().try_receive(longest, payload);
        self.transfer(queue, Interest::READABLE, receive, wait_mode, waiter.into())
            .await
    }

    async fn transfer<T>(
        &self,
        queue: &PollableQueue,
        interest: Interest,
        mut attempt: impl FnMut() -> sys::Result<T>,
        wait_mode: WaitMode,
        waiter: Waiter<'_>,
    ) -> sys::Result<T> {
        match attempt() {
            Err(Errno::EAGAIN) => {}
            done => return done,
        }
        let WaitMode::Until(deadline) = wait_mode else {
            return Err(Errno::EAGAIN);
        };
        if waiter.canceller.is_cancelled() {
            return Err(Errno::ECANCELED);
        }
        if let Some(parking) = &self.parking {
            let parked = async {
                loop {
                    park::until(parking, is_ready(&queue.queue, interest)).await;
                    match attempt() {
                        Err(Errno::EAGAIN) => {}
                        done => return done,
                    }
                }
            };
            return limited(parked, deadline, waiter).await;
        }
        if inline_wait(queue, interest, self.inline.min(deadline.remaining())) {
            match attempt() {
                Err(Errno::EAGAIN) => {}
                done => return done,
            }
        }
        let readiness = queue.readiness()?;
        limited(parked(readiness, interest, attempt), deadline, waiter).await
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
    readiness: &AsyncFd<MessageQueue>,
    interest: Interest,
    mut attempt: impl FnMut() -> sys::Result<T>,
) -> sys::Result<T> {
    loop {
        let mut ready = readiness.ready(interest).await.map_err(errno)?;
        // Forgets the readiness before it tries, and only if there was nothing: an
        // event that comes in between is seen at the next turn.
        let tried = ready.try_io(|_| match attempt() {
            Err(Errno::EAGAIN) => Err(io::ErrorKind::WouldBlock.into()),
            done => Ok(done),
        });
        if let Ok(Ok(done)) = tried {
            return done;
        }
    }
}

fn errno(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
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
