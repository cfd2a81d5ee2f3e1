//! Grants: which names a guest may use, and for what.
//!
//! Without a grant a guest reaches nothing. A [`Grant`] opens one name, or the
//! names with one prefix, for the rights that it lists, and an operation needs
//! every right that it uses. [`Grants`] is what one guest has been given.
//!
//! ```
//! use wasmtime_posix_ipc::grant::{Access, Grant, GrantError, Grants, Kind, Lifecycle, Right};
//!
//! // What `--mq /jobs,recv` says, and the same from Rust.
//! let grant = Grant::parse(Kind::MessageQueue, "/jobs,recv")?;
//! assert_eq!(grant, Grant::message_queue("/jobs")?.with_access(Access::Receive)?);
//!
//! let mut grants = Grants::new();
//! grants.add(grant)?;
//! grants.add(Grant::shared_memory("/render.*")?.with_lifecycle(Lifecycle::Create)?)?;
//!
//! let found = grants.find(Kind::SharedMemory, "/render.7")?.expect("is granted");
//! assert!(found.grant.allows(Right::Create, false));
//! assert!(!found.grant.allows(Right::Unlink, false));
//! assert!(grants.find(Kind::SharedMemory, "/jobs")?.is_none());
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
//! the builder methods of [`Grant`] take every name.

mod bytes;
mod denial;
mod error;
mod name;
mod needs;
mod rights;
mod set;
mod show;
mod text;

pub use bytes::{Bytes, BytesError};
pub use denial::Denial;
pub use error::GrantError;
pub use name::{Name, NameError, Pattern, Prefix};
pub use needs::Needs;
pub use rights::{Access, Kind, Lifecycle, Right};
pub use set::{Found, Grants, PrivateNamespace};

/// What a guest may do with one object, or with all whose names start alike.
///
/// The builder methods check each step, so a grant that exists makes sense. See
/// [the module](self) for what each part means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    pattern: Pattern,
    guest_name: Option<Name>,
    access: Access,
    lifecycle: Lifecycle,
    max_objects: Option<u64>,
    max_size: Option<u64>,
    max_messages: Option<u32>,
    max_message_size: Option<u32>,
    undo: bool,
    map: bool,
    keep: bool,
}

impl Grant {
    /// A grant for a semaphore, or for all that match a pattern such as
    /// `/render.*`, to take it and to add to it.
    pub fn semaphore(pattern: &str) -> Result<Self, GrantError> {
        Self::new(Kind::Semaphore, pattern)
    }

    /// A grant for a shared-memory object, or for all that match a pattern such as
    /// `/render.*`, to read and write it.
    pub fn shared_memory(pattern: &str) -> Result<Self, GrantError> {
        Self::new(Kind::SharedMemory, pattern)
    }

    /// A grant for a message queue, or for all that match a pattern such as
    /// `/render.*`, to receive and to send.
    pub fn message_queue(pattern: &str) -> Result<Self, GrantError> {
        Self::new(Kind::MessageQueue, pattern)
    }

    /// A grant for objects of a kind: full access to those that exist.
    pub fn new(kind: Kind, pattern: &str) -> Result<Self, GrantError> {
        Pattern::new(kind, pattern).map(Self::of)
    }

    fn of(pattern: Pattern) -> Self {
        Self {
            access: Access::default_of(pattern.kind()),
            pattern,
            guest_name: None,
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

    /// Lets the guest know the object by another name, and only by that. Not for
    /// patterns with a star.
    pub fn with_guest_name(mut self, name: &str) -> Result<Self, GrantError> {
        let Pattern::Exact(host_name) = &self.pattern else {
            return Err(GrantError::PrefixRenamed {
                pattern: self.pattern.to_string(),
            });
        };
        let Pattern::Exact(guest_name) = Pattern::new(self.kind(), name)? else {
            return Err(GrantError::PrefixRenamed {
                pattern: name.into(),
            });
        };
        self.guest_name = (guest_name != *host_name).then_some(guest_name);
        Ok(self)
    }

    /// Narrows what the guest may do with an open object.
    pub fn with_access(mut self, access: Access) -> Result<Self, GrantError> {
        self.only_for(&[access.kind()], access.word())?;
        self.access = access;
        self.checked()
    }

    /// Lets the guest create objects, and remove them.
    pub fn with_lifecycle(mut self, lifecycle: Lifecycle) -> Result<Self, GrantError> {
        self.lifecycle = lifecycle;
        self.checked()
    }

    /// Limits how many objects may exist at one time that the guest created under
    /// this grant.
    pub fn with_max_objects(mut self, max: u64) -> Result<Self, GrantError> {
        self.max_objects = Some(at_least_one("max", max)?);
        Ok(self)
    }

    /// Limits the size in bytes that the guest may give a shared-memory object.
    pub fn with_max_size(mut self, max: u64) -> Result<Self, GrantError> {
        self.only_for(&[Kind::SharedMemory], "max-size")?;
        self.max_size = Some(at_least_one("max-size", max)?);
        Ok(self)
    }

    /// Limits how many messages a queue holds that the guest creates.
    pub fn with_max_messages(mut self, max: u32) -> Result<Self, GrantError> {
        self.only_for(&[Kind::MessageQueue], "max-msgs")?;
        self.max_messages = Some(at_least_one("max-msgs", max)?);
        Ok(self)
    }

    /// Limits how many bytes a message of a queue has that the guest creates.
    pub fn with_max_message_size(mut self, max: u32) -> Result<Self, GrantError> {
        self.only_for(&[Kind::MessageQueue], "max-msg-size")?;
        self.max_message_size = Some(at_least_one("max-msg-size", max)?);
        Ok(self)
    }

    /// Gives back what the guest took from a semaphore and still holds when it
    /// ends, as `SEM_UNDO` does for the semaphores of System V.
    pub fn with_undo(mut self) -> Result<Self, GrantError> {
        self.only_for(&[Kind::Semaphore], "undo")?;
        self.undo = true;
        self.checked()
    }

    /// Lets the guest have the object in its own memory.
    pub fn with_map(mut self) -> Result<Self, GrantError> {
        self.only_for(&[Kind::Semaphore, Kind::SharedMemory], "map")?;
        self.map = true;
        self.checked()
    }

    /// Leaves what the guest creates in place when the guest ends. Needs a life
    /// that creates, which is set first.
    pub fn with_keep(mut self) -> Result<Self, GrantError> {
        self.keep = true;
        self.checked()
    }

    fn only_for(&self, kinds: &[Kind], option: &str) -> Result<(), GrantError> {
        if kinds.contains(&self.kind()) {
            return Ok(());
        }
        Err(GrantError::OtherKind {
            kind: self.kind(),
            option: option.into(),
        })
    }

    fn checked(self) -> Result<Self, GrantError> {
        let conflict = |problem| Err(GrantError::Conflict { problem });
        if self.undo && self.map {
            // Nobody sees what a guest takes in its own memory.
            return conflict("\"undo\" and \"map\" exclude each other; write one of them");
        }
        if self.map && self.kind() == Kind::Semaphore && self.access != Access::Use {
            return conflict(
                "\"map\" lets the guest take a semaphore and add to it; write it with \"use\"",
            );
        }
        if self.keep && self.lifecycle == Lifecycle::Open {
            return conflict("\"keep\" is about what the guest creates; add \"create\" or \"own\"");
        }
        Ok(self)
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
        self.access
    }

    /// What the guest may do with the existence of an object.
    pub fn lifecycle(&self) -> Lifecycle {
        self.lifecycle
    }

    /// How many objects may exist that the guest created under this grant.
    pub fn max_objects(&self) -> Option<u64> {
        self.max_objects
    }

    /// The size in bytes that the guest may give a shared-memory object.
    pub fn max_size(&self) -> Option<u64> {
        self.max_size
    }

    /// How many messages a queue may hold that the guest creates.
    pub fn max_messages(&self) -> Option<u32> {
        self.max_messages
    }

    /// How many bytes a message may have in a queue that the guest creates.
    pub fn max_message_size(&self) -> Option<u32> {
        self.max_message_size
    }

    /// Whether what the guest took and still holds is given back when it ends.
    pub fn undo(&self) -> bool {
        self.undo
    }

    /// Whether the guest may have the object in its own memory.
    pub fn map(&self) -> bool {
        self.map
    }

    /// Whether what the guest created stays when it ends.
    pub fn keep(&self) -> bool {
        self.keep
    }

    /// Whether an operation that needs this right may go on.
    ///
    /// `created_by_guest` says that this guest created the object which the
    /// operation is about. Rights that the kind does not know are never allowed.
    pub fn allows(&self, right: Right, created_by_guest: bool) -> bool {
        let may_alter = match self.lifecycle {
            Lifecycle::Open => false,
            Lifecycle::Create => created_by_guest,
            Lifecycle::Own => true,
        };
        match right {
            Right::Create => self.lifecycle != Lifecycle::Open,
            Right::Unlink => may_alter,
            Right::Resize => may_alter && self.access == Access::ReadWrite,
            Right::Map => self.map,
            right => self.access.allows(right),
        }
    }

    /// Whether this is for the object that the guest calls so.
    fn covers(&self, guest_name: &str) -> bool {
        match &self.guest_name {
            Some(own) => own.as_str() == guest_name,
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

fn at_least_one<T: Into<u64> + Copy>(option: &'static str, max: T) -> Result<T, GrantError> {
    if max.into() > 0 {
        return Ok(max);
    }
    Err(GrantError::Value {
        option,
        value: "0".into(),
        wanted: "at least 1",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every grant that differs in more than its numbers, all for one name.
    pub(super) fn every_grant(kind: Kind, pattern: &str) -> Vec<Grant> {
        let mut grants = Vec::new();
        for access in Access::ALL.into_iter().filter(|a| a.kind() == kind) {
            for lifecycle in Lifecycle::ALL {
                for options in 0..8 {
                    let grant = Grant {
                        access,
                        lifecycle,
                        undo: options & 1 != 0,
                        map: options & 2 != 0,
                        keep: options & 4 != 0,
                        ..Grant::new(kind, pattern).unwrap()
                    };
                    let possible = (kind == Kind::Semaphore || !grant.undo)
                        && (kind != Kind::MessageQueue || !grant.map);
                    grants.extend(grant.checked().ok().filter(|_| possible));
                }
            }
        }
        grants
    }

    #[test]
    fn nothing_is_allowed_that_the_kind_does_not_know() {
        let of_kind = |kind| match kind {
            Kind::Semaphore => "wait post create unlink map",
            Kind::SharedMemory => "read write create resize unlink map",
            Kind::MessageQueue => "recv send create unlink",
        };
        for kind in Kind::ALL {
            let widest = every_grant(kind, "/a");
            for right in Right::ALL {
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
            let grant = Grant::shared_memory("/a")
                .unwrap()
                .with_lifecycle(lifecycle)
                .unwrap();
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

    #[test]
    fn the_builder_refuses_what_makes_no_sense() {
        let sem = || Grant::semaphore("/a").unwrap();
        let shm = || Grant::shared_memory("/a").unwrap();
        let mq = || Grant::message_queue("/a").unwrap();
        for refused in [
            sem().with_access(Access::ReadOnly),
            shm().with_access(Access::Send),
            mq().with_access(Access::Use),
            shm().with_undo(),
            mq().with_undo(),
            mq().with_map(),
            sem().with_max_size(1),
            mq().with_max_size(1),
            sem().with_max_messages(1),
            shm().with_max_message_size(1),
            mq().with_max_objects(0),
            mq().with_max_messages(0),
            mq().with_max_message_size(0),
            shm().with_max_size(0),
            sem().with_keep(),
            sem().with_undo().unwrap().with_map(),
            sem().with_map().unwrap().with_undo(),
            sem().with_map().unwrap().with_access(Access::Wait),
            sem().with_access(Access::Post).unwrap().with_map(),
            mq().with_lifecycle(Lifecycle::Own)
                .unwrap()
                .with_keep()
                .unwrap()
                .with_lifecycle(Lifecycle::Open),
            Grant::message_queue("/a.*").unwrap().with_guest_name("/b"),
            mq().with_guest_name("/b.*"),
            mq().with_guest_name("b"),
        ] {
            assert!(refused.is_err(), "{refused:?}");
        }
    }

    #[test]
    fn a_guest_name_that_is_the_name_is_none() {
        let grant = Grant::semaphore("/a").unwrap();
        assert_eq!(grant.clone().with_guest_name("/a").unwrap(), grant);
    }
}
