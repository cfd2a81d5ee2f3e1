//! Messages as bytes, one after the other: of each its length, its priority, both as four
//! bytes in little-endian order, and its payload.

const NUMBER: usize = size_of::<u32>();
const HEAD: usize = 2 * NUMBER;

/// The payloads and priorities, up to the first that is not all there.
pub(super) struct Messages<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = (&'a [u8], u32);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (priority, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (payload, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((payload, u32::from_le_bytes(*priority)))
    }
}

/// Room for messages.
pub(super) struct Room<'a>(pub(super) &'a mut [u8]);

impl Room<'_> {
    /// Adds a message that `receive` puts into the room for its payload, of which it gives
    /// the length and the priority. False if there is no room for the longest, or nothing
    /// was received.
    pub(super) fn add<E>(
        &mut self,
        longest: usize,
        receive: impl FnOnce(&mut [u8]) -> Result<(usize, u32), E>,
    ) -> bool {
        let has_room = |rest: &[u8]| rest.len() >= HEAD && rest.len() - HEAD >= longest;
        if !has_room(self.0) {
            return false;
        }
        let (head, payload) = self.0.split_at_mut(HEAD);
        let Ok((length, priority)) = receive(payload) else {
            return false;
        };
        // No message is as long as not to fit into four bytes: see `mq_overview(7)`.
        head[..NUMBER].copy_from_slice(&(length as u32).to_le_bytes());
        head[NUMBER..].copy_from_slice(&priority.to_le_bytes());
        self.0 = &mut std::mem::take(&mut self.0)[HEAD + length..];
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(room: &mut Room<'_>, text: &[u8], priority: u32) -> bool {
        room.add(4, |payload| {
            payload[..text.len()].copy_from_slice(text);
            Ok::<_, ()>((text.len(), priority))
        })
    }

    #[test]
    fn what_was_added_is_there() {
        let mut bytes = [0xFF; 2 * HEAD + 4];
        let mut room = Room(&mut bytes);
        assert!(added(&mut room, b"", u32::MAX));
        assert!(!room.add(4, |_| Err(())));
        assert!(added(&mut room, b"text", 7));
        assert!(!added(&mut room, b"", 0));
        let messages: Vec<_> = Messages(&bytes).collect();
        assert_eq!(messages, [(&b""[..], u32::MAX), (b"text", 7)]);
    }

    #[test]
    fn nothing_is_taken_for_a_message_that_is_not_all_there() {
        let bytes = [
            1, 0, 0, 0, 2, 0, 0, 0, b'a', 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 1,
        ];
        for (length, expected) in [(0, 0), (7, 0), (8, 0), (9, 1), (12, 1), (17, 1), (18, 1)] {
            assert_eq!(Messages(&bytes[..length]).count(), expected, "{length}");
        }
        let mut room = [0; HEAD + 3];
        assert!(!added(&mut Room(&mut room), b"a", 0));
        assert!(!added(&mut Room(&mut room[..HEAD - 1]), b"", 0));
    }
}
