//! Grants from Rust.

use super::options::Options;
use super::{Access, Grant, GrantError, Lifecycle, Pattern};
use crate::name::Kind;

/// A grant that is being put together, by [`Grant::semaphore`] and the like. Its methods
/// can be called in any order; [`GrantBuilder::build`] checks the whole.
#[derive(Clone, Debug)]
#[must_use]
pub struct GrantBuilder {
    kind: Kind,
    pattern: String,
    guest_name: Option<String>,
    options: Options,
}

impl GrantBuilder {
    pub(super) fn new(kind: Kind, pattern: String) -> Self {
        Self {
            kind,
            pattern,
            guest_name: None,
            options: Options::of(kind),
        }
    }

    /// Lets the guest know the object by another name, and only by that. Not for
    /// patterns with a star.
    pub fn guest_name(mut self, name: impl Into<String>) -> Self {
        self.guest_name = Some(name.into());
        self
    }

    /// Narrows what the guest may do with an open object.
    pub fn access(mut self, access: Access) -> Self {
        self.options.access = access;
        self
    }

    /// Lets the guest create objects, and remove them.
    pub fn lifecycle(mut self, lifecycle: Lifecycle) -> Self {
        self.options.lifecycle = lifecycle;
        self
    }

    /// Limits how many objects may exist at one time that the guest created under
    /// this grant.
    pub fn max_objects(mut self, max: impl Into<Option<u64>>) -> Self {
        self.options.max_objects = max.into();
        self
    }

    /// Limits the size in bytes that the guest may give a shared-memory object.
    pub fn max_size(mut self, max: impl Into<Option<u64>>) -> Self {
        self.options.max_size = max.into();
        self
    }

    /// Limits how many messages a queue holds that the guest creates.
    pub fn max_messages(mut self, max: impl Into<Option<u32>>) -> Self {
        self.options.max_messages = max.into();
        self
    }

    /// Limits how many bytes a message of a queue has that the guest creates.
    pub fn max_message_size(mut self, max: impl Into<Option<u32>>) -> Self {
        self.options.max_message_size = max.into();
        self
    }

    /// Gives back what the guest took from a semaphore and still holds when it
    /// ends, as `SEM_UNDO` does for the semaphores of System V.
    pub fn undo(mut self, undo: bool) -> Self {
        self.options.undo = undo;
        self
    }

    /// Lets the guest have the object in its own memory.
    pub fn map(mut self, map: bool) -> Self {
        self.options.map = map;
        self
    }

    /// Leaves what the guest creates in place when the guest ends.
    pub fn keep(mut self, keep: bool) -> Self {
        self.options.keep = keep;
        self
    }

    /// The grant.
    ///
    /// # Errors
    ///
    /// If a name is not one, an option is not for this kind of object, or two of them
    /// do not go together.
    pub fn build(self) -> Result<Grant, GrantError> {
        let pattern = Pattern::new(self.kind, &self.pattern)?;
        let guest_name = match self.guest_name {
            None => None,
            Some(name) => {
                let guest_name = Pattern::new(self.kind, &name)?;
                if let Some(prefix) = [&pattern, &guest_name].into_iter().find(|p| p.is_prefix()) {
                    return Err(GrantError::PrefixRenamed {
                        pattern: prefix.to_string(),
                    });
                }
                (guest_name != pattern).then(|| guest_name.name().clone())
            }
        };
        self.options.check(self.kind)?;
        Ok(Grant {
            pattern,
            guest_name,
            options: self.options,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builder_refuses_what_makes_no_sense() {
        let sem = || Grant::semaphore("/a");
        let shm = || Grant::shared_memory("/a");
        let mq = || Grant::message_queue("/a");
        for refused in [
            sem().access(Access::ReadOnly),
            shm().access(Access::Send),
            mq().access(Access::Use),
            shm().undo(true),
            mq().undo(true),
            mq().map(true),
            sem().max_size(1),
            mq().max_size(1),
            sem().max_messages(1),
            shm().max_message_size(1),
            mq().max_objects(0),
            mq().max_messages(0),
            mq().max_message_size(0),
            shm().max_size(0),
            sem().keep(true),
            sem().undo(true).map(true),
            sem().map(true).access(Access::Wait),
            sem().access(Access::Post).map(true),
            mq().lifecycle(Lifecycle::Own)
                .keep(true)
                .lifecycle(Lifecycle::Open),
            Grant::message_queue("/a.*").guest_name("/b"),
            mq().guest_name("/b.*"),
            mq().guest_name("b"),
        ] {
            assert!(refused.clone().build().is_err(), "{refused:?}");
        }
    }

    #[test]
    fn the_order_of_the_methods_does_not_matter() {
        let keep_first = Grant::semaphore("/a").keep(true).lifecycle(Lifecycle::Own);
        let keep_last = Grant::semaphore("/a").lifecycle(Lifecycle::Own).keep(true);
        assert_eq!(keep_first.build(), keep_last.build());
    }

    #[test]
    fn a_guest_name_that_is_the_name_is_none() {
        let plain = Grant::semaphore("/a");
        assert_eq!(plain.clone().guest_name("/a").build(), plain.build());
    }
}
