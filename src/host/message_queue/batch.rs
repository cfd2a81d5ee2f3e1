//! Receiving many messages with one call.

use super::Queue;
use crate::error::Error;
use crate::host::bindings::posix::ipc::message_queue::Message;

/// Messages that are received with one call.
pub(super) struct Batch {
    pub(super) messages: Vec<Message>,
    most: usize,
    bytes: usize,
}

impl Batch {
    /// The host holds a batch of this many bytes, or one message more.
    const MOST_BYTES: usize = 16 << 20;

    /// Messages may arrive as fast as they are taken, so the queue's capacity bounds
    /// what one call holds.
    pub(super) fn new(queue: &Queue, max: u32) -> Self {
        Self {
            messages: Vec::new(),
            most: max.min(queue.size.max_messages) as usize,
            bytes: 0,
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.messages.len() < self.most && self.bytes < Self::MOST_BYTES
    }

    /// Says whether there was a message. That there is none is an error of the first.
    pub(super) fn add(&mut self, received: Result<Message, Error>) -> Result<bool, Error> {
        match received {
            Ok(mut message) => {
                // Without the room that the longest one would have taken.
                message.payload.shrink_to_fit();
                self.bytes += message.payload.len();
                self.messages.push(message);
                Ok(true)
            }
            Err(error) if self.messages.is_empty() => Err(error),
            Err(_) => Ok(false),
        }
    }
}
