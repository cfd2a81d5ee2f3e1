//! What a guest needed, as the smallest grants that would have been enough.

use super::denial::Wanted;
use super::pattern::SEPARATORS;
use super::{Grant, Grants, Lifecycle, Pattern, Right};
use crate::name::{Kind, Name};
use std::collections::{BTreeMap, BTreeSet};

/// The rights that a guest has used on each name.
///
/// ```
/// use wasmtime_posix_ipc::grant::{Kind, Needs, Right};
///
/// let mut needs = Needs::default();
/// needs.add(Kind::Semaphore, "/gate", None, &[], false);
/// needs.add(Kind::Semaphore, "/gate", None, &[Right::Wait], false);
/// needs.add(Kind::SharedMemory, "/tmp.x1", Some("/tmp."), &[Right::Read, Right::Create], false);
/// needs.add(Kind::SharedMemory, "/tmp.x1", None, &[Right::Unlink], true);
/// let flags: Vec<_> = needs.grants().iter().filter_map(|grant| grant.to_flag()).collect();
/// assert_eq!(flags, ["--sem /gate,wait", "--shm '/tmp.*,ro,create'"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Of a guest that is not free to use every name.
    bounds: Option<Grants>,
    found: BTreeMap<(Kind, Named), Need>,
    overflows: bool,
}

/// The names that one grant is to be for, as the guest knows them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    One(String),
    /// Those that start so: unique names are others each time.
    All(String),
}

#[derive(Clone, Debug, Default)]
struct Need {
    rights: BTreeSet<Right>,
    /// Those that are used on what others created.
    on_others: BTreeSet<Right>,
}

impl Needs {
    /// How many names are told apart: a guest could use any number.
    const MOST: usize = 10_000;

    /// Of a guest that has grants. What it needed keeps their names for the guest, their
    /// limits, `undo` and `keep`. A name that has no grant gets a new one.
    pub fn within(bounds: Grants) -> Self {
        Self {
            bounds: Some(bounds),
            ..Self::default()
        }
    }

    /// Adds that the guest used these rights on a name. `prefix` is what it said of a
    /// unique name, and `created_by_guest` what [`Grant::allows`] would be asked with.
    pub fn add(
        &mut self,
        kind: Kind,
        name: &str,
        prefix: Option<&str>,
        rights: &[Right],
        created_by_guest: bool,
    ) {
        let key = (kind, self.named(kind, name, prefix));
        if self.found.len() == Self::MOST && !self.found.contains_key(&key) {
            self.overflows = true;
            return;
        }
        let need = self.found.entry(key).or_default();
        need.rights.extend(rights);
        if !created_by_guest {
            need.on_others.extend(rights);
        }
    }

    /// Whether all names are there that were added. A guest that uses very many names
    /// makes its need unknown.
    pub fn is_complete(&self) -> bool {
        !self.overflows
    }

    /// The smallest grants, in the order of their names, one for each.
    pub fn grants(&self) -> Vec<Grant> {
        let found = self.found.iter();
        found
            .filter_map(|(key, need)| self.grant(key, need))
            .collect()
    }

    /// The names that no grant can be for: they have a star, or start a unique name
    /// without a separator.
    pub fn without_grant(&self) -> impl Iterator<Item = (Kind, &str)> {
        self.found
            .iter()
            .filter(|(key, need)| self.grant(key, need).is_none())
            .map(|((kind, Named::One(name) | Named::All(name)), _)| (*kind, name.as_str()))
    }

    fn named(&self, kind: Kind, name: &str, prefix: Option<&str>) -> Named {
        if let Some(prefix) = prefix {
            // The star of a pattern stands behind a separator.
            let end = prefix.rfind(SEPARATORS).map_or(prefix.len(), |at| at + 1);
            return Named::All(prefix[..end].into());
        }
        let one = Named::One(name.into());
        if self.found.contains_key(&(kind, one.clone())) {
            return one;
        }
        let ends = name.char_indices().map(|(at, _)| at).rev();
        let mut all = ends.map(|end| Named::All(name[..end].into()));
        all.find(|all| self.found.contains_key(&(kind, all.clone())))
            .unwrap_or(one)
    }

    fn grant(&self, (kind, named): &(Kind, Named), need: &Need) -> Option<Grant> {
        let mut base = self.least(*kind, named)?;
        let keeps = std::mem::take(&mut base.options.keep);
        let widen = |grant, created_by_guest, rights: Vec<Right>| {
            let rights = &rights;
            Wanted {
                rights,
                created_by_guest,
            }
            .widen(grant, &[])
        };
        let alters = |right: &Right| matches!(right, Right::Resize | Right::Unlink);
        let own = widen(base, true, need.rights.iter().copied().collect())?;
        let others = need
            .rights
            .iter()
            .filter(|right| !alters(right) || need.on_others.contains(right));
        let mut grant = widen(own, false, others.copied().collect())?;
        grant.options.keep = keeps && grant.lifecycle() != Lifecycle::Open;
        Some(grant)
    }

    /// What is granted with the names in any case.
    fn least(&self, kind: Kind, named: &Named) -> Option<Grant> {
        let (name, pattern) = match named {
            Named::One(name) => (
                name,
                Name::new(kind, name).ok().as_ref().and_then(Pattern::exact),
            ),
            Named::All(prefix) => (prefix, Pattern::new(kind, &format!("{prefix}*")).ok()),
        };
        let Some(bounds) = &self.bounds else {
            return pattern.map(Grant::of);
        };
        let Some(found) = bounds.find(&Name::new(kind, name).ok()?).ok()? else {
            // The guest was denied it.
            return pattern.map(Grant::of);
        };
        let mut grant = found.grant.clone();
        if grant.pattern.is_prefix() {
            grant.pattern = pattern?;
            // A limit for all that it is for together.
            grant.options.max_objects = None;
        }
        grant.options.lifecycle = Lifecycle::Open;
        grant.options.map = false;
        Some(grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Kind::{MessageQueue as Mq, Semaphore as Sem, SharedMemory as Shm};
    use Right::{Create, Map, Post, Read, Receive, Resize, Send, Unlink, Wait, Write};

    /// A name, what it was created with, rights, and whether the guest created it.
    type Used = (
        Kind,
        &'static str,
        Option<&'static str>,
        &'static [Right],
        bool,
    );

    fn flags(mut needs: Needs, used: &[Used]) -> Vec<String> {
        for (kind, name, prefix, rights, own) in used {
            needs.add(*kind, name, *prefix, rights, *own);
        }
        needs.grants().iter().filter_map(Grant::to_flag).collect()
    }

    #[test]
    fn no_more_than_was_used() {
        for (used, flag) in [
            (&[(Sem, "/a", None, &[][..], false)][..], "--sem /a,wait"),
            (
                &[
                    (Sem, "/a", None, &[], false),
                    (Sem, "/a", None, &[Post], false),
                ],
                "--sem /a,post",
            ),
            (
                &[
                    (Sem, "/a", None, &[Post], false),
                    (Sem, "/a", None, &[Wait], false),
                ],
                "--sem /a,use",
            ),
            (&[(Sem, "/a", None, &[Map], false)], "--sem /a,use,map"),
            (
                &[(Sem, "/a", None, &[Create], false)],
                "--sem /a,wait,create",
            ),
            (
                &[
                    (Sem, "/a", None, &[Create], false),
                    (Sem, "/a", None, &[Unlink], true),
                ],
                "--sem /a,wait,create",
            ),
            (
                &[
                    (Sem, "/a", None, &[Create], false),
                    (Sem, "/a", None, &[Unlink], false),
                ],
                "--sem /a,wait,own",
            ),
            (&[(Shm, "/a", None, &[Read], false)], "--shm /a,ro"),
            (&[(Shm, "/a", None, &[Read, Write], false)], "--shm /a,rw"),
            (
                &[
                    (Shm, "/a", None, &[Read, Write], false),
                    (Shm, "/a", None, &[Resize], false),
                ],
                "--shm /a,rw,own",
            ),
            (
                &[
                    (Shm, "/a", None, &[Read, Write, Create], false),
                    (Shm, "/a", None, &[Resize], true),
                ],
                "--shm /a,rw,create",
            ),
            (&[(Shm, "/a", None, &[Read, Map], false)], "--shm /a,ro,map"),
            (&[(Mq, "/a", None, &[Receive], false)], "--mq /a,recv"),
            (
                &[
                    (Mq, "/a", None, &[Send], false),
                    (Mq, "/a", None, &[Unlink], true),
                ],
                "--mq /a,send,create",
            ),
        ] {
            assert_eq!(flags(Needs::default(), used), [flag], "{used:?}");
        }
    }

    #[test]
    fn unique_names_are_granted_by_how_they_start() {
        let used = [
            (Mq, "/a.b", None, &[Receive][..], false),
            (Mq, "/a.xyz", Some("/a.x"), &[Send, Create], false),
            (Mq, "/a.xyz", None, &[Unlink], true),
            (Mq, "/a.b", None, &[Receive], false),
            (Shm, "/a.xyz", None, &[Read], false),
        ];
        let expected = [
            "--shm /a.xyz,ro",
            "--mq /a.b,recv",
            "--mq '/a.*,send,create'",
        ];
        assert_eq!(flags(Needs::default(), &used), expected);
    }

    #[test]
    fn grants_that_the_guest_has_bound_what_it_needed() {
        let mut bounds = Grants::new();
        for text in [
            "sem:/host::/a,create,undo,keep,max=2",
            "shm:/b.*,own,map,keep,max=2,max-size=1MiB",
        ] {
            bounds.add(text.parse().unwrap()).unwrap();
        }
        let used = [
            (Sem, "/a", None, &[Wait, Create][..], false),
            (Shm, "/b.1", None, &[Read], false),
            (Shm, "/b.2", None, &[Read, Write, Create], false),
            (Shm, "/c", None, &[Read], false),
        ];
        let expected = [
            "--sem /host::/a,wait,create,max=2,undo,keep",
            "--shm /b.1,ro,max-size=1MiB",
            "--shm /b.2,rw,create,max-size=1MiB,keep",
            // It was denied.
            "--shm /c,ro",
        ];
        assert_eq!(flags(Needs::within(bounds), &used), expected);
    }

    #[test]
    fn what_cannot_be_granted_is_told_apart() {
        let mut needs = Needs::default();
        needs.add(Sem, "/a*", None, &[Wait], false);
        needs.add(Sem, "/tmp123", Some("/tmp"), &[Create], false);
        assert_eq!(needs.grants(), []);
        let without: Vec<_> = needs.without_grant().collect();
        assert_eq!(without, [(Sem, "/a*"), (Sem, "/tmp")]);
        assert!(needs.is_complete());
    }

    #[test]
    fn any_number_of_names_takes_no_more_room() {
        let mut needs = Needs::default();
        for number in 0..=Needs::MOST {
            assert!(needs.is_complete());
            needs.add(Sem, &format!("/{number}"), None, &[], false);
        }
        assert!(!needs.is_complete());
        assert_eq!(needs.grants().len(), Needs::MOST);
    }
}
