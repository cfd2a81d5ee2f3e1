//! All that one guest has been granted.

use super::pattern::SEPARATORS;
use super::{Grant, GrantError, Lifecycle, Pattern};
use crate::name::{Kind, Name, NameError};
use crate::random;
use std::sync::Arc;

/// The grants of one guest. Empty, it denies everything.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    grants: Vec<Arc<Grant>>,
    /// If there is one, `grants` holds one grant for each kind, in their order.
    private: Option<PrivateNamespace>,
    /// Where the objects are, if not under the names that are granted.
    within: Option<PrivateNamespace>,
}

/// A grant that is for the name that a guest asked for.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// Which one of the guest's grants it is, from 0, for state that is kept for
    /// each of them.
    pub index: usize,
    /// The grant.
    pub grant: &'a Grant,
    /// The object's name on the host.
    pub host_name: Name,
}

impl Grants {
    /// No grants.
    pub fn new() -> Self {
        Self::default()
    }

    /// A namespace of the guest's own: every name works in it, for every use, and
    /// nothing outside of it can be reached.
    pub fn private(namespace: PrivateNamespace) -> Self {
        Self {
            grants: Kind::ALL
                .iter()
                .map(|&kind| namespace.grant(kind).into())
                .collect(),
            private: Some(namespace),
            within: None,
        }
    }

    /// These grants, of objects in a namespace: what is granted is a name in it.
    #[cfg(feature = "explore")]
    #[must_use]
    pub(crate) fn within(mut self, namespace: PrivateNamespace) -> Self {
        self.within = Some(namespace);
        self
    }

    /// All of these.
    ///
    /// # Errors
    ///
    /// If two are for the same name.
    pub fn from_list(grants: impl IntoIterator<Item = Grant>) -> Result<Self, GrantError> {
        let mut this = Self::new();
        for grant in grants {
            this.add(grant)?;
        }
        Ok(this)
    }

    /// Grants as texts, such as `mq:/jobs,recv`.
    ///
    /// # Errors
    ///
    /// If a text is not a grant, or two are for the same name.
    pub fn parse<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, GrantError> {
        let mut this = Self::new();
        for text in texts {
            this.add(text.as_ref().parse()?)?;
        }
        Ok(this)
    }

    /// Adds a grant. A name, and a prefix, is granted once: what two grants for it
    /// would allow together is easily overlooked.
    pub fn add(&mut self, grant: Grant) -> Result<(), GrantError> {
        if self.private.is_some() {
            return Err(GrantError::Private);
        }
        if self
            .grants
            .iter()
            .any(|other| other.is_for_the_same(&grant))
        {
            return Err(GrantError::Twice {
                kind: grant.kind(),
                name: match grant.guest_name() {
                    Some(name) => name.to_string(),
                    None => grant.pattern().to_string(),
                },
            });
        }
        self.grants.push(grant.into());
        Ok(())
    }

    /// Finds the grant that is for a name which a guest uses: the one for this very
    /// name, else the one with the longest prefix. `None` says that the name is not
    /// granted.
    ///
    /// A guest that was given an object under another name finds it by that only.
    ///
    /// # Errors
    ///
    /// If the objects are in a namespace, and the name is too long for it.
    pub fn find(&self, guest_name: &Name) -> Result<Option<Found<'_>>, NameError> {
        if let Some(namespace) = &self.private {
            let index = guest_name.kind() as usize;
            return Ok(Some(Found {
                index,
                grant: &self.grants[index],
                host_name: namespace.host_name(guest_name)?,
            }));
        }
        let found = self
            .iter()
            .enumerate()
            .filter(|(_, grant)| grant.covers(guest_name))
            .max_by_key(|(_, grant)| match grant.pattern().is_prefix() {
                false => usize::MAX,
                true => grant.pattern().name().as_str().len(),
            });
        let Some((index, grant)) = found else {
            return Ok(None);
        };
        let name = match grant.pattern().is_prefix() {
            false => grant.pattern().name(),
            true => guest_name,
        };
        Ok(Some(Found {
            index,
            grant,
            host_name: match &self.within {
                None => name.clone(),
                Some(namespace) => namespace.host_name(name)?,
            },
        }))
    }

    /// One of the grants, by its index, to be kept.
    pub(crate) fn share(&self, index: usize) -> Option<Arc<Grant>> {
        self.grants.get(index).cloned()
    }

    /// The grants, in the order in which they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Grant> {
        self.grants.iter().map(|grant| &**grant)
    }

    /// How many grants there are.
    pub fn len(&self) -> usize {
        self.grants.len()
    }

    /// Whether there is no grant, and so everything denied.
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }
}

impl Grant {
    fn is_for_the_same(&self, other: &Self) -> bool {
        // Names of different kinds are different.
        self.visible() == other.visible()
            && self.pattern().is_prefix() == other.pattern().is_prefix()
    }
}

/// A part of the host's names that one guest has for itself: those with a
/// prefix that nobody can guess.
///
/// ```
/// use wasmtime_posix_ipc::grant::{Kind, Name, NameError, PrivateNamespace};
///
/// let namespace = PrivateNamespace::new("posix-ipc.q9Xw2LmT04hZsVbe.")?;
/// let name = namespace.host_name(&Name::new(Kind::MessageQueue, "/jobs")?)?;
/// assert_eq!(name.as_str(), "/posix-ipc.q9Xw2LmT04hZsVbe.jobs");
/// # Ok::<(), NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateNamespace {
    /// With the leading slash. It starts names of every kind.
    prefix: Name,
}

impl PrivateNamespace {
    /// A namespace that nobody else can find.
    pub fn random() -> Self {
        let prefix = format!("posix-ipc.{}.", random::word(16));
        Self::new(&prefix).expect("the prefix is short and ends in a dot")
    }

    /// Makes a namespace of a prefix, which has no slash and ends in `.`, `-` or
    /// `_`. The caller makes it random: whoever knows the prefix can reach the
    /// objects.
    pub fn new(prefix: &str) -> Result<Self, NameError> {
        let prefix = format!("/{prefix}");
        for &kind in Kind::ALL {
            Name::new(kind, &prefix)?;
            // It has to leave room for the names.
            Name::new(kind, &format!("{prefix}x"))?;
        }
        if !prefix.ends_with(SEPARATORS) || prefix.len() < 3 || prefix.contains('*') {
            return Err(NameError::Invalid {
                kind: Kind::SharedMemory,
                name: prefix,
                problem: "a private namespace has a prefix that ends in '.', '-' or '_'",
            });
        }
        Ok(Self {
            prefix: Name::new(Kind::SharedMemory, &prefix)?,
        })
    }

    /// The host's name for what the guest calls so.
    ///
    /// # Errors
    ///
    /// If the name is too long: the prefix takes part of the length that it may have.
    pub fn host_name(&self, guest_name: &Name) -> Result<Name, NameError> {
        guest_name.prefixed(&self.prefix)
    }

    /// How the host's names of all that is in it start, with the slash.
    pub fn prefix(&self) -> &str {
        self.prefix.as_str()
    }

    /// Everything that can be done with what is in it.
    fn grant(&self, kind: Kind) -> Grant {
        let pattern = Pattern::new(kind, &format!("{}*", self.prefix));
        let mut grant = Grant::of(pattern.expect("was checked when the namespace was made"));
        grant.options.lifecycle = Lifecycle::Own;
        grant.options.map = kind != Kind::MessageQueue;
        grant
    }
}

#[cfg(test)]
mod tests {
    use super::super::Right;
    use super::*;

    fn grants(texts: &[&str]) -> Grants {
        Grants::parse(texts).unwrap()
    }

    /// The index of the grant, and the host's name.
    fn find(grants: &Grants, kind: Kind, name: &str) -> Option<(usize, String)> {
        let found = grants.find(&Name::new(kind, name).unwrap()).unwrap()?;
        Some((found.index, found.host_name.to_string()))
    }

    #[test]
    fn nothing_is_granted_by_default() {
        for &kind in Kind::ALL {
            assert_eq!(find(&Grants::new(), kind, "/a"), None);
        }
    }

    #[test]
    fn a_grant_is_for_its_kind_only() {
        let grants = grants(&["mq:/a", "shm:/b.*"]);
        assert!(find(&grants, Kind::MessageQueue, "/a").is_some());
        assert_eq!(find(&grants, Kind::Semaphore, "/a"), None);
        assert_eq!(find(&grants, Kind::SharedMemory, "/a"), None);
        assert_eq!(find(&grants, Kind::Semaphore, "/b.c"), None);
    }

    #[test]
    fn the_most_specific_grant_counts() {
        let texts = [
            "mq:/a.*,recv",
            "mq:/a.b.*,send",
            "mq:/a.b.c",
            "mq:/x::/a.b.d",
        ];
        let reversed: Vec<&str> = texts.iter().rev().copied().collect();
        for texts in [&texts[..], &reversed] {
            let grants = grants(texts);
            for (name, text, host_name) in [
                ("/a.x", "mq:/a.*,recv", "/a.x"),
                ("/a.b", "mq:/a.*,recv", "/a.b"),
                ("/a.b.", "mq:/a.*,recv", "/a.b."),
                ("/a.b.x", "mq:/a.b.*,send", "/a.b.x"),
                ("/a.b.c", "mq:/a.b.c", "/a.b.c"),
                ("/a.b.d", "mq:/x::/a.b.d", "/x"),
            ] {
                let name = Name::new(Kind::MessageQueue, name).unwrap();
                let found = grants.find(&name).unwrap().unwrap();
                assert_eq!(found.grant.to_string(), text);
                assert_eq!(found.host_name.as_str(), host_name);
                assert_eq!(grants.iter().nth(found.index), Some(found.grant));
            }
        }
    }

    #[test]
    fn a_renamed_object_has_only_that_name() {
        let mut grants = grants(&["mq:/jobs::/in"]);
        let in_jobs = Some((0, "/jobs".to_owned()));
        assert_eq!(find(&grants, Kind::MessageQueue, "/in"), in_jobs);
        assert_eq!(find(&grants, Kind::MessageQueue, "/jobs"), None);
        // Unless it is granted besides.
        grants.add("mq:/jobs,recv".parse().unwrap()).unwrap();
        assert_eq!(find(&grants, Kind::MessageQueue, "/in"), in_jobs);
        assert_eq!(
            find(&grants, Kind::MessageQueue, "/jobs"),
            Some((1, "/jobs".to_owned()))
        );
    }

    #[test]
    fn a_name_is_granted_once() {
        for (first, second, name) in [
            ("mq:/a", "mq:/a,recv", "mq:/a"),
            ("mq:/a", "mq:/b::/a", "mq:/a"),
            ("mq:/b::/a", "mq:/c::/a", "mq:/a"),
            ("shm:/a.*", "shm:/a.*,create", "shm:/a.*"),
        ] {
            let mut grants = grants(&[first]);
            let error = grants.add(second.parse().unwrap()).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("{name} is granted twice; write one grant")
            );
            assert_eq!(grants.len(), 1);
        }
        grants(&[
            "mq:/a",
            "sem:/a",
            "shm:/a",
            "mq:/a.*",
            "mq:/a.",
            "mq:/a.b",
            "mq:/a.b.*",
            "mq:/a::/b",
        ]);
    }

    #[test]
    fn everything_works_in_a_private_namespace_and_stays_there() {
        let grants = Grants::private(PrivateNamespace::new("posix-ipc.x.").unwrap());
        for &kind in Kind::ALL {
            let name = Name::new(kind, "/jobs").unwrap();
            let found = grants.find(&name).unwrap().unwrap();
            assert_eq!(found.host_name.as_str(), "/posix-ipc.x.jobs");
            assert_eq!((found.grant.kind(), found.index), (kind, kind as usize));
            assert!(found.grant.allows(Right::Create, false));
            assert!(found.grant.allows(Right::Unlink, false));
            assert_eq!(
                found.grant.allows(Right::Map, false),
                kind != Kind::MessageQueue
            );
            assert!(!found.grant.keep());
        }
        let mut grants = grants;
        let error = grants.add("mq:/a".parse().unwrap()).unwrap_err();
        assert_eq!(error, GrantError::Private);
    }

    #[test]
    fn the_prefix_of_a_private_namespace_takes_from_the_length() {
        let namespace = PrivateNamespace::new("posix-ipc.0123456789abcdef.").unwrap();
        for (kind, room) in [
            (Kind::Semaphore, 251 - 27),
            (Kind::SharedMemory, 255 - 27),
            (Kind::MessageQueue, 255 - 27),
        ] {
            let name = |length| Name::new(kind, &format!("/{}", "x".repeat(length))).unwrap();
            let host_name = namespace.host_name(&name(room)).unwrap();
            assert_eq!(host_name.as_str().len(), kind.longest_name() + 1);
            assert_eq!(
                namespace.host_name(&name(room + 1)),
                Err(NameError::TooLong {
                    kind,
                    length: room + 1,
                    limit: room
                })
            );
        }
    }

    #[test]
    fn a_private_namespace_never_holds_a_semaphores_memory() {
        for prefix in [
            "", ".", "..", "a", "sem.", "sem.a.", "/a.", "a/b.", "a\0.", "*.", "a",
        ] {
            assert!(PrivateNamespace::new(prefix).is_err(), "{prefix:?}");
        }
        let full = format!("{}.", "a".repeat(Kind::Semaphore.longest_name() - 1));
        assert!(PrivateNamespace::new(&full).is_err());
        Grants::private(PrivateNamespace::new(&full[1..]).unwrap());
        let namespace = PrivateNamespace::new("a.").unwrap();
        let name = Name::new(Kind::SharedMemory, "/.sem.x").unwrap();
        assert_eq!(namespace.host_name(&name).unwrap().as_str(), "/a..sem.x");
    }
}
