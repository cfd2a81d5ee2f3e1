//! What a grant says besides names, and which of it goes together.

use super::{Access, GrantError, Lifecycle};
use crate::name::Kind;

/// The options of a grant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Options {
    pub(super) access: Access,
    pub(super) lifecycle: Lifecycle,
    pub(super) max_objects: Option<u64>,
    pub(super) max_size: Option<u64>,
    pub(super) max_messages: Option<u32>,
    pub(super) max_message_size: Option<u32>,
    pub(super) undo: bool,
    pub(super) map: bool,
    pub(super) keep: bool,
}

impl Options {
    /// Those of a grant that has none: full access to what exists.
    pub(super) fn of(kind: Kind) -> Self {
        Self {
            access: Access::default_of(kind),
            lifecycle: Lifecycle::default(),
            max_objects: None,
            max_size: None,
            max_messages: None,
            max_message_size: None,
            undo: false,
            map: false,
            keep: false,
        }
    }

    /// Whether a grant for this kind of object can have them.
    pub(super) fn check(&self, kind: Kind) -> Result<(), GrantError> {
        use Kind::{MessageQueue, Semaphore, SharedMemory};
        for (is_set, option, kinds) in [
            (true, self.access.word(), &[self.access.kind()][..]),
            (self.max_size.is_some(), "max-size", &[SharedMemory]),
            (self.max_messages.is_some(), "max-msgs", &[MessageQueue]),
            (
                self.max_message_size.is_some(),
                "max-msg-size",
                &[MessageQueue],
            ),
            (self.undo, "undo", &[Semaphore]),
            (self.map, "map", &[Semaphore, SharedMemory]),
        ] {
            if is_set && !kinds.contains(&kind) {
                let option = option.into();
                return Err(GrantError::OtherKind { kind, option });
            }
        }
        for (option, max) in [
            ("max", self.max_objects),
            ("max-size", self.max_size),
            ("max-msgs", self.max_messages.map(u64::from)),
            ("max-msg-size", self.max_message_size.map(u64::from)),
        ] {
            if max == Some(0) {
                return Err(GrantError::Value {
                    option,
                    value: "0".into(),
                    wanted: "at least 1",
                });
            }
        }
        let conflict = |problem| Err(GrantError::Conflict { problem });
        if self.undo && self.map {
            // Nobody sees what a guest takes in its own memory.
            return conflict("\"undo\" and \"map\" exclude each other; write one of them");
        }
        if self.map && kind == Semaphore && self.access != Access::Use {
            return conflict(
                "\"map\" lets the guest take a semaphore and add to it; write it with \"use\"",
            );
        }
        if self.keep && self.lifecycle == Lifecycle::Open {
            return conflict("\"keep\" is about what the guest creates; add \"create\" or \"own\"");
        }
        Ok(())
    }
}
