//! Grants: which names a guest may use, and for what.
//!
//! Without a grant a guest reaches nothing. A [`Grant`] opens one name, or the
//! names with one prefix, for the rights that it lists, and an operation needs
//! every right that it uses. [`Grants`] is what one guest has been given.
//!
//! ```
//! use wasmtime_posix_ipc::grant::{Access, Grant, GrantError, Grants, Kind, Lifecycle, Name, Right};
//!
//! // What `--mq /jobs,recv` says, and the same from Rust.
//! let grant = Grant::parse(Kind::MessageQueue, "/jobs,recv")?;
//! assert_eq!(grant, Grant::message_queue("/jobs").access(Access::Receive).build()?);
//!
//! let mut grants = Grants::new();
//! grants.add(grant)?;
//! grants.add(Grant::shared_memory("/render.*").lifecycle(Lifecycle::Create).build()?)?;
//!
//! let found = grants.find(&Name::new(Kind::SharedMemory, "/render.7")?)?.expect("is granted");
//! assert!(found.grant.allows(Right::Create, false));
//! assert!(!found.grant.allows(Right::Unlink, false));
//! assert!(grants.find(&Name::new(Kind::SharedMemory, "/jobs")?)?.is_none());
//! # Ok::<(), GrantError>(())
//! ```
//!
//! # Grants as text
//!
//! A grant is written as `KIND:NAME[::GUEST][,OPTION...]`, and after a flag such
//! as `--mq` without its kind.
//!
//! | part | |
//! |---|---|
//! | `KIND` | `sem`, `shm` or `mq` |
//! | `NAME` | one object (`/jobs`), or all that start alike (`/render.*`): a star at the end, behind `.`, `-` or `_` |
//! | `GUEST` | the name under which the guest knows the object, for one object only |
//! | access | `sem`: `use`, `wait` or `post`; `shm`: `rw` or `ro`; `mq`: `both`, `recv` or `send`; the first is the default |
//! | lifecycle | `open` (default): use what exists; `create`: also create, and resize, truncate and unlink what the guest itself created; `own`: also resize, truncate and unlink what others created. To resize needs `rw` besides |
//! | `max=N` | how many objects may exist at one time that the guest created under this grant |
//! | `max-size=SIZE` | `shm`: the largest size that the guest may give an object |
//! | `max-msgs=N`, `max-msg-size=SIZE` | `mq`: the largest queue that the guest may create |
//! | `undo` | `sem`: what the guest took and still holds when it ends is given back |
//! | `map` | `sem`, `shm`: the guest may have the object in its own memory. A semaphore needs `use` for that, and cannot have `undo` |
//! | `keep` | what the guest creates stays when the guest ends; needs `create` or `own` |
//!
//! Sizes are numbers of bytes, or end in `KiB`, `MiB` or `GiB`. A name that holds a
//! comma, `::` or an invisible character cannot be written as text; a manifest and
//! a [`GrantBuilder`] take every name.

mod builder;
mod bytes;
pub(crate) mod denial;
mod error;
mod needs;
mod options;
mod pattern;
mod rights;
mod set;
mod text;

pub use crate::name::{Kind, Name, NameError};
pub use builder::GrantBuilder;
pub use bytes::{Bytes, BytesError};
pub use error::GrantError;
pub use needs::Needs;
pub use pattern::Pattern;
pub use rights::{Access, Lifecycle, Right};
pub use set::{Found, Grants, PrivateNamespace};

use options::Options;

/// What a guest may do with one object, or with all whose names start alike.
///
/// A grant that exists makes sense: it is made by [`GrantBuilder::build`], which checks
/// it, or read from a text. See [the module](self) for what each part means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    pattern: Pattern,
    guest_name: Option<Name>,
    options: Options,
}

impl Grant {
    /// A grant for a semaphore, or for all that match a pattern such as
    /// `/render.*`: to take it and to add to it, unless the builder is told otherwise.
    pub fn semaphore(pattern: impl Into<String>) -> GrantBuilder {
        Self::builder(Kind::Semaphore, pattern)
    }

    /// A grant for a shared-memory object, or for all that match a pattern such as
    /// `/render.*`: to read and write it, unless the builder is told otherwise.
    pub fn shared_memory(pattern: impl Into<String>) -> GrantBuilder {
        Self::builder(Kind::SharedMemory, pattern)
    }

    /// A grant for a message queue, or for all that match a pattern such as
    /// `/render.*`: to receive and to send, unless the builder is told otherwise.
    pub fn message_queue(pattern: impl Into<String>) -> GrantBuilder {
        Self::builder(Kind::MessageQueue, pattern)
    }

    /// A grant for objects of a kind: full access to those that exist, unless the
    /// builder is told otherwise.
    pub fn builder(kind: Kind, pattern: impl Into<String>) -> GrantBuilder {
        GrantBuilder::new(kind, pattern.into())
    }

    /// Full access to what exists.
    fn of(pattern: Pattern) -> Self {
        Self {
            options: Options::of(pattern.kind()),
            guest_name: None,
            pattern,
        }
    }

    /// The kind of object that this is for.
    pub fn kind(&self) -> Kind {
        self.pattern.kind()
    }

    /// The names that this is for, as the host knows them.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// The name under which the guest knows the object, if it is another.
    pub fn guest_name(&self) -> Option<&Name> {
        self.guest_name.as_ref()
    }

    /// What the guest may do with an open object.
    pub fn access(&self) -> Access {
        self.options.access
    }

    /// What the guest may do with the existence of an object.
    pub fn lifecycle(&self) -> Lifecycle {
        self.options.lifecycle
    }

    /// How many objects may exist that the guest created under this grant.
    pub fn max_objects(&self) -> Option<u64> {
        self.options.max_objects
    }

    /// The size in bytes that the guest may give a shared-memory object.
    pub fn max_size(&self) -> Option<u64> {
        self.options.max_size
    }

    /// How many messages a queue may hold that the guest creates.
    pub fn max_messages(&self) -> Option<u32> {
        self.options.max_messages
    }

    /// How many bytes a message may have in a queue that the guest creates.
    pub fn max_message_size(&self) -> Option<u32> {
        self.options.max_message_size
    }

    /// Whether what the guest took and still holds is given back when it ends.
    pub fn undo(&self) -> bool {
        self.options.undo
    }

    /// Whether the guest may have the object in its own memory.
    pub fn map(&self) -> bool {
        self.options.map
    }

    /// Whether what the guest created stays when it ends.
    pub fn keep(&self) -> bool {
        self.options.keep
    }

    /// Whether an operation that needs this right may go on.
    ///
    /// `created_by_guest` says that this guest created the object which the
    /// operation is about. Rights that the kind does not know are never allowed.
    pub fn allows(&self, right: Right, created_by_guest: bool) -> bool {
        let may_alter = match self.options.lifecycle {
            Lifecycle::Open => false,
            Lifecycle::Create => created_by_guest,
            Lifecycle::Own => true,
        };
        match right {
            Right::Create => self.options.lifecycle != Lifecycle::Open,
            Right::Unlink => may_alter,
            Right::Resize => may_alter && self.options.access == Access::ReadWrite,
            Right::Map => self.options.map,
            right => self.options.access.allows(right),
        }
    }

    /// Whether this is for the object that the guest calls so.
    fn covers(&self, guest_name: &Name) -> bool {
        match &self.guest_name {
            Some(own) => own == guest_name,
            None => self.pattern.matches(guest_name),
        }
    }

    /// What the guest sees of the pattern: its name, or the prefix.
    fn visible(&self) -> &Name {
        self.guest_name
            .as_ref()
            .unwrap_or_else(|| self.pattern.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every grant that differs in more than its numbers, all for one name.
    pub(super) fn every_grant(kind: Kind, pattern: &str) -> Vec<Grant> {
        let mut grants = Vec::new();
        for access in Access::of(kind) {
            for &lifecycle in Lifecycle::ALL {
                for options in 0..8 {
                    let grant = Grant::builder(kind, pattern)
                        .access(access)
                        .lifecycle(lifecycle)
                        .undo(options & 1 != 0)
                        .map(options & 2 != 0)
                        .keep(options & 4 != 0);
                    grants.extend(grant.build());
                }
            }
        }
        grants
    }

    /// The same grant under another name for the guest, if it can have one.
    pub(super) fn renamed(grant: &Grant, guest_name: &str) -> Option<Grant> {
        let pattern = grant.pattern.to_string();
        let names = Grant::builder(grant.kind(), pattern).guest_name(guest_name);
        let Grant { guest_name, .. } = names.build().ok()?;
        Some(Grant {
            guest_name,
            ..grant.clone()
        })
    }

    #[test]
    fn nothing_is_allowed_that_the_kind_does_not_know() {
        let of_kind = |kind| match kind {
            Kind::Semaphore => "wait post create unlink map",
            Kind::SharedMemory => "read write create resize unlink map",
            Kind::MessageQueue => "recv send create unlink",
        };
        for &kind in Kind::ALL {
            let widest = every_grant(kind, "/a");
            for &right in Right::ALL {
                let some = widest.iter().any(|grant| grant.allows(right, true));
                let known = of_kind(kind).split(' ').any(|word| word == right.word());
                assert_eq!(some, known, "{kind} {right}");
            }
        }
    }

    #[test]
    fn each_life_allows_what_it_says() {
        let rights = [Right::Create, Right::Resize, Right::Unlink];
        let table = |lifecycle| {
            let grant = Grant::shared_memory("/a").lifecycle(lifecycle);
            let grant = grant.build().unwrap();
            [false, true].map(|created| rights.map(|right| grant.allows(right, created)))
        };
        assert_eq!(
            table(Lifecycle::Open),
            [[false, false, false], [false, false, false]]
        );
        assert_eq!(
            table(Lifecycle::Create),
            [[true, false, false], [true, true, true]]
        );
        assert_eq!(
            table(Lifecycle::Own),
            [[true, true, true], [true, true, true]]
        );
    }

    #[test]
    fn a_read_only_grant_never_resizes() {
        let grant = Grant::parse(Kind::SharedMemory, "/a,ro,own").unwrap();
        assert!(!grant.allows(Right::Resize, true));
        assert!(grant.allows(Right::Unlink, false));
    }
}
