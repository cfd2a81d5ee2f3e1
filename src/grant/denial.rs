//! What the host's log says about a denied call.

use super::{Access, Found, Grant, Grants, Lifecycle, Pattern, Right};
use crate::name::show::{shell, shown};
use crate::name::{Kind, Name};
use std::fmt;

impl Grants {
    /// Explains why these grants do not allow an operation that needs `rights`, and
    /// what would: for the host's log, never for the guest.
    ///
    /// `created_by_guest` is what [`Grant::allows`] was asked with.
    pub(crate) fn denial(
        &self,
        guest_name: &Name,
        rights: &[Right],
        created_by_guest: bool,
    ) -> Denial {
        let wanted = Wanted {
            rights,
            created_by_guest,
        };
        let (reason, advice) = match self.find(guest_name) {
            Err(error) => (error.to_string(), None),
            Ok(None) => ("not granted".into(), wanted.alone(guest_name)),
            Ok(Some(found)) => (wanted.lacks(found.grant), wanted.beside(&found, guest_name)),
        };
        Denial {
            name: guest_name.clone(),
            rights: rights.into(),
            reason,
            advice,
        }
    }
}

/// Why a call was denied, and which grant would allow it.
///
/// As text it is one line that starts with `denied`, whatever name the guest chose.
#[derive(Clone, Debug)]
pub struct Denial {
    name: Name,
    rights: Vec<Right>,
    reason: String,
    advice: Option<Advice>,
}

#[derive(Clone, Debug)]
struct Advice {
    grant: Grant,
    /// It stands in the place of a grant that the guest has.
    replaces: bool,
    /// It says which access is meant even if that is the default.
    says_access: bool,
}

#[cfg(any(test, feature = "_internals"))]
impl Denial {
    /// The smallest grant that allows the operation and all that the guest may do
    /// with this object already. There is none for what is not a name, nor for a
    /// name with a star, nor for rights that the kind does not know.
    pub fn suggestion(&self) -> Option<&Grant> {
        self.advice.as_ref().map(|advice| &advice.grant)
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            rights,
            reason,
            advice,
        } = self;
        let (kind, name, rights) = (name.kind(), shown(name.as_str()), join(rights));
        write!(f, "denied {kind}:{name} ({rights}): {reason}")?;
        match advice {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            grant,
            replaces,
            says_access,
        } = self;
        let kind = grant.kind();
        if grant.has_text() {
            let verb = if *replaces { "use" } else { "add" };
            let value = grant.flag_value(*says_access);
            return write!(f, "{verb} --{kind} {}", shell(&value));
        }
        let keys = grant.manifest_keys(*says_access);
        if *replaces {
            write!(f, "use {keys} in its [[{kind}]] table of the manifest")
        } else {
            write!(f, "add a [[{kind}]] table with {keys} to the manifest")
        }
    }
}

/// What an operation needs.
pub(super) struct Wanted<'a> {
    pub(super) rights: &'a [Right],
    pub(super) created_by_guest: bool,
}

impl Wanted<'_> {
    /// What a grant that covers the name does not allow, in words.
    fn lacks(&self, grant: &Grant) -> String {
        let missing: Vec<Right> = self
            .rights
            .iter()
            .copied()
            .filter(|right| !grant.allows(*right, self.created_by_guest))
            .collect();
        let content = |right: Right| Access::default_of(grant.kind()).allows(right);
        // To resize needs writing besides.
        let unwritable = !grant.access().allows(Right::Write);
        let narrow = missing
            .iter()
            .any(|right| content(*right) || *right == Right::Resize && unwritable);
        let others: Vec<String> = missing
            .into_iter()
            .filter(|right| !content(*right))
            .map(|right| match (right, grant.lifecycle()) {
                (Right::Unlink | Right::Resize, Lifecycle::Create) if !self.created_by_guest => {
                    format!("{right} of what others created")
                }
                _ => right.to_string(),
            })
            .collect();

        let only = match narrow {
            true => format!(" for {} only", grant.access()),
            false => String::new(),
        };
        let without = match others.is_empty() {
            true => String::new(),
            false => format!(
                "{} without {}",
                if narrow { "," } else { "" },
                others.join(", ")
            ),
        };
        let by = match grant.pattern().is_prefix() {
            true => format!(" as {}", shown(&grant.pattern().to_string())),
            false => String::new(),
        };
        format!("granted{only}{without}{by}")
    }

    /// The smallest grant for an object of which the guest may do nothing yet.
    fn alone(&self, name: &Name) -> Option<Advice> {
        let fresh = Grant::of(Pattern::exact(name)?);
        Some(Advice {
            grant: self.widen(fresh, &[])?,
            replaces: false,
            says_access: true,
        })
    }

    /// The smallest grant for an object that the guest has a grant for. Where that
    /// one is for more objects, only this object's should be wider: it gets a grant
    /// of its own, which is then the one that counts.
    fn beside(&self, found: &Found<'_>, name: &Name) -> Option<Advice> {
        let present = found.grant;
        let replaces = !present.pattern().is_prefix();
        let mut base = present.clone();
        if !replaces {
            base.pattern = Pattern::exact(name)?;
            // A limit for all of them together.
            base.options.max_objects = None;
        }
        let allowed: Vec<Right> = Right::ALL
            .iter()
            .copied()
            .filter(|right| present.access().allows(*right))
            .collect();
        let grant = self.widen(base, &allowed)?;
        Some(Advice {
            replaces,
            says_access: grant.access() != present.access(),
            grant,
        })
    }

    /// Widens a grant until it allows all that is wanted. Its access is replaced by
    /// the narrowest that includes what is `allowed` already.
    pub(super) fn widen(&self, mut grant: Grant, allowed: &[Right]) -> Option<Grant> {
        let kind = grant.kind();
        if self.rights.contains(&Right::Map) {
            if kind == Kind::MessageQueue {
                return None;
            }
            grant.options.map = true;
            // What happens in the guest's memory cannot be undone.
            grant.options.undo = false;
        }
        let needed: Vec<Right> = self
            .rights
            .iter()
            .chain(allowed)
            .flat_map(|right| match (kind, right) {
                (Kind::Semaphore, Right::Map) => vec![Right::Wait, Right::Post],
                (Kind::SharedMemory, Right::Resize) => vec![Right::Write],
                (_, Right::Create | Right::Unlink | Right::Resize | Right::Map) => vec![],
                (_, right) => vec![*right],
            })
            .collect();
        // From narrow to wide.
        grant.options.access =
            Access::of(kind).find(|access| needed.iter().all(|right| access.allows(*right)))?;
        let least = grant.options.lifecycle;
        let wider = Lifecycle::ALL
            .iter()
            .filter(|lifecycle| **lifecycle >= least);
        for &lifecycle in wider {
            grant.options.lifecycle = lifecycle;
            let allows = |right: &Right| grant.allows(*right, self.created_by_guest);
            if self.rights.iter().all(allows) {
                return grant.options.check(kind).is_ok().then_some(grant);
            }
        }
        None
    }
}

fn join(rights: &[Right]) -> String {
    let words: Vec<&str> = rights.iter().map(|right| right.word()).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{every_grant, renamed};
    use super::*;

    fn denied(grant: Option<&str>, kind: Kind, name: &str, rights: &[Right]) -> String {
        let mut grants = Grants::new();
        if let Some(text) = grant {
            grants.add(text.parse().unwrap()).unwrap();
        }
        let name = Name::new(kind, name).unwrap();
        let line = grants.denial(&name, rights, false).to_string();
        assert!(!line.contains(char::is_control), "{line:?}");
        line
    }

    #[test]
    fn a_denial_says_what_would_allow_the_call() {
        use Kind::{MessageQueue as Mq, Semaphore as Sem, SharedMemory as Shm};
        use Right::{Create, Map, Post, Read, Receive, Resize, Send, Unlink, Write};
        for (grant, kind, name, rights, line) in [
            (
                None,
                Mq,
                "/admin",
                &[Send][..],
                "denied mq:/admin (send): not granted; add --mq /admin,send",
            ),
            (
                None,
                Mq,
                "/a",
                &[Receive, Send],
                "denied mq:/a (recv, send): not granted; add --mq /a,both",
            ),
            (
                None,
                Mq,
                "/a",
                &[Unlink],
                "denied mq:/a (unlink): not granted; add --mq /a,recv,own",
            ),
            (
                None,
                Shm,
                "/a",
                &[Read, Write, Create],
                "denied shm:/a (read, write, create): not granted; add --shm /a,rw,create",
            ),
            (
                None,
                Sem,
                "/a",
                &[Map],
                "denied sem:/a (map): not granted; add --sem /a,use,map",
            ),
            (
                Some("mq:/jobs,recv"),
                Mq,
                "/jobs",
                &[Send],
                "denied mq:/jobs (send): granted for recv only; use --mq /jobs,both",
            ),
            (
                Some("mq:/jobs"),
                Mq,
                "/jobs",
                &[Receive, Create],
                "denied mq:/jobs (recv, create): granted without create; use --mq /jobs,create",
            ),
            (
                Some("mq:/jobs,recv"),
                Mq,
                "/jobs",
                &[Send, Create],
                "denied mq:/jobs (send, create): granted for recv only, without create; use --mq /jobs,both,create",
            ),
            (
                Some("mq:/jobs,create"),
                Mq,
                "/jobs",
                &[Unlink],
                "denied mq:/jobs (unlink): granted without unlink of what others created; use --mq /jobs,own",
            ),
            (
                Some("shm:/a,ro,create,max-size=1MiB"),
                Shm,
                "/a",
                &[Resize],
                "denied shm:/a (resize): granted for ro only, without resize of what others created; use --shm /a,rw,own,max-size=1MiB",
            ),
            (
                Some("sem:/a,wait"),
                Sem,
                "/a",
                &[Post],
                "denied sem:/a (post): granted for wait only; use --sem /a,use",
            ),
            (
                Some("sem:/a,undo"),
                Sem,
                "/a",
                &[Map],
                "denied sem:/a (map): granted without map; use --sem /a,map",
            ),
            (
                Some("mq:/jobs::/in,recv"),
                Mq,
                "/in",
                &[Send],
                "denied mq:/in (send): granted for recv only; use --mq /jobs::/in,both",
            ),
            (
                Some("mq:/jobs::/in,recv"),
                Mq,
                "/jobs",
                &[Receive],
                "denied mq:/jobs (recv): not granted; add --mq /jobs,recv",
            ),
            (
                Some("shm:/r.*,ro,max=4"),
                Shm,
                "/r.7",
                &[Write],
                "denied shm:/r.7 (write): granted for ro only as /r.*; add --shm /r.7,rw",
            ),
        ] {
            assert_eq!(denied(grant, kind, name, rights), line);
        }
    }

    #[test]
    fn a_name_that_is_no_text_is_suggested_for_the_manifest() {
        let mut grants = Grants::new();
        let denial = |grants: &Grants, rights: &[Right]| {
            let name = Name::new(Kind::MessageQueue, "/a,b").unwrap();
            grants.denial(&name, rights, false).to_string()
        };
        assert_eq!(
            denial(&grants, &[Right::Send, Right::Create]),
            "denied mq:\"/a,b\" (send, create): not granted; add a [[mq]] table with access = \"send\", lifecycle = \"create\" to the manifest"
        );
        let grant = Grant::message_queue("/a,b").build().unwrap();
        grants.add(grant).unwrap();
        assert_eq!(
            denial(&grants, &[Right::Unlink]),
            "denied mq:\"/a,b\" (unlink): granted without unlink; use lifecycle = \"own\" in its [[mq]] table of the manifest"
        );
    }

    #[test]
    fn a_name_cannot_forge_a_line_nor_a_command() {
        for (name, line) in [
            (
                "/a\ndenied mq:b",
                "denied mq:\"/a\\ndenied mq:b\" (send): not granted; add a [[mq]] table with access = \"send\" to the manifest",
            ),
            (
                "/a (send): granted",
                "denied mq:\"/a (send): granted\" (send): not granted; add --mq '/a (send): granted,send'",
            ),
            (
                "/a;reboot",
                "denied mq:\"/a;reboot\" (send): not granted; add --mq '/a;reboot,send'",
            ),
            (
                "/a\u{202e}",
                "denied mq:\"/a\\u{202e}\" (send): not granted; add a [[mq]] table with access = \"send\" to the manifest",
            ),
            // A grant for this would be one for more than was asked for.
            ("/a.*", "denied mq:/a.* (send): not granted"),
        ] {
            assert_eq!(denied(None, Kind::MessageQueue, name, &[Right::Send]), line);
        }
        let long = format!("/{}", "\n".repeat(255));
        let line = denied(None, Kind::MessageQueue, &long, &[Right::Send]);
        assert!(line.len() < 1200, "{line}");
    }

    #[test]
    fn rights_of_another_kind_are_never_suggested() {
        for (grant, kind, right) in [
            (None, Kind::Semaphore, Right::Send),
            (None, Kind::MessageQueue, Right::Map),
            (Some("mq:/a"), Kind::MessageQueue, Right::Resize),
            (Some("shm:/a"), Kind::SharedMemory, Right::Wait),
        ] {
            let line = denied(grant, kind, "/a", &[right]);
            assert!(!line.contains("--"), "{line}");
        }
    }

    /// What a grant allows, as a set.
    fn allowed(grant: &Grant) -> Vec<(Right, bool)> {
        let both = |right| [(right, false), (right, true)];
        Right::ALL
            .iter()
            .copied()
            .flat_map(both)
            .filter(|(right, created)| grant.allows(*right, *created))
            .collect()
    }

    #[test]
    fn the_suggestion_is_the_smallest_grant_that_allows_the_call() {
        for &kind in Kind::ALL {
            let known: Vec<Right> = Right::ALL
                .iter()
                .copied()
                .filter(|right| {
                    every_grant(kind, "/a")
                        .iter()
                        .any(|g| g.allows(*right, true))
                })
                .collect();
            let candidates = every_grant(kind, "/a");
            let exact = every_grant(kind, "/a").into_iter().map(Some);
            let renamed = every_grant(kind, "/b")
                .into_iter()
                .map(|grant| renamed(&grant, "/a"));
            for present in exact.chain(renamed).chain([None]) {
                for subset in 1_u32..1 << known.len() {
                    let rights: Vec<Right> = (0..known.len())
                        .filter(|bit| subset & 1 << bit != 0)
                        .map(|bit| known[bit])
                        .collect();
                    for created in [false, true] {
                        check(&candidates, present.as_ref(), kind, &rights, created);
                    }
                }
            }
        }
    }

    fn check(
        candidates: &[Grant],
        present: Option<&Grant>,
        kind: Kind,
        rights: &[Right],
        created: bool,
    ) {
        let suffices = |grant: &Grant| rights.iter().all(|right| grant.allows(*right, created));
        if present.is_some_and(suffices) {
            return;
        }
        let mut grants = Grants::new();
        if let Some(grant) = present {
            grants.add(grant.clone()).unwrap();
        }
        let name = Name::new(kind, "/a").unwrap();
        let denial = grants.denial(&name, rights, created);
        let suggestion = denial.suggestion().unwrap();
        assert!(suffices(suggestion), "{denial}");

        // As it is written, it is that grant, and it can stand where the line says.
        let line = denial.to_string();
        let (_, flag) = line.split_once("--").unwrap();
        let (word, value) = flag.split_once(' ').unwrap();
        assert_eq!(word, kind.flag());
        assert_eq!(Grant::parse(kind, value).as_ref(), Ok(suggestion), "{line}");
        assert_eq!(line.contains("; use --"), present.is_some(), "{line}");
        assert_eq!(suggestion.guest_name(), present.and_then(Grant::guest_name));

        let suggested = allowed(suggestion);
        let had = present.map(allowed).unwrap_or_default();
        assert!(had.iter().all(|right| suggested.contains(right)), "{line}");
        for other in candidates.iter().filter(|grant| suffices(grant)) {
            let other = allowed(other);
            let smaller = other.len() < suggested.len()
                && other.iter().all(|right| suggested.contains(right))
                && had.iter().all(|right| other.contains(right));
            assert!(!smaller, "{line}");
        }
    }

    #[test]
    fn a_suggestion_beside_a_prefix_is_the_grant_that_counts() {
        let mut grants = Grants::new();
        grants
            .add("shm:/r.*,ro,create,max=2,max-size=1KiB".parse().unwrap())
            .unwrap();
        let name = Name::new(Kind::SharedMemory, "/r.7").unwrap();
        let denial = grants.denial(&name, &[Right::Write], true);
        let suggestion = denial.suggestion().unwrap().clone();
        assert_eq!(suggestion.to_string(), "shm:/r.7,create,max-size=1KiB");
        grants.add(suggestion).unwrap();
        let found = grants.find(&name).unwrap().unwrap();
        assert!(found.grant.allows(Right::Write, true));
    }
}
