//! The patterns that grant names.

use super::GrantError;
use crate::name::show::deceptive;
use crate::name::{Kind, Name, NameError};
use std::fmt;

/// What a prefix ends in, so that a grant for the objects of `/app` is never one
/// for those of `/apple`.
pub(super) const SEPARATORS: [char; 3] = ['.', '-', '_'];

/// Which names a grant is for: one (`/jobs`), or all that start alike (`/render.*`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// Without the star.
    name: Name,
    is_prefix: bool,
}

impl Pattern {
    /// Reads a name, or a prefix with a star behind it: `/render.*`.
    ///
    /// # Errors
    ///
    /// If the text is not a name of this kind, or its star is in the wrong place.
    pub fn new(kind: Kind, pattern: &str) -> Result<Self, GrantError> {
        match pattern.strip_suffix('*') {
            Some(prefix) => Self::prefix(kind, prefix),
            None if pattern.contains('*') => Err(star(pattern)),
            None => Ok(Self {
                name: Name::new(kind, pattern)?,
                is_prefix: false,
            }),
        }
    }

    /// The pattern for one object, if there is one: with a star in its name it would be
    /// the pattern for many.
    pub(super) fn exact(name: &Name) -> Option<Self> {
        let has_star = name.as_str().contains('*');
        (!has_star).then(|| Self {
            name: name.clone(),
            is_prefix: false,
        })
    }

    fn prefix(kind: Kind, prefix: &str) -> Result<Self, GrantError> {
        if prefix.contains('*') {
            return Err(star(prefix));
        }
        let name = Name::new(kind, prefix).map_err(|error| match error {
            // A prefix of nothing but a slash, or that looks like a directory.
            NameError::Invalid { .. } if prefix.trim_matches(['/', '.']).is_empty() => star(prefix),
            error => error.into(),
        })?;
        if !name.stem().ends_with(SEPARATORS) || name.stem().len() < 2 {
            return Err(star(prefix));
        }
        // It has to leave room for the names.
        if name.stem().len() == kind.longest_name() {
            return Err(GrantError::Name(NameError::TooLong {
                kind,
                length: name.stem().len() + 1,
                limit: kind.longest_name(),
            }));
        }
        Ok(Self {
            name,
            is_prefix: true,
        })
    }

    /// The kind of object that this is for.
    pub fn kind(&self) -> Kind {
        self.name.kind()
    }

    /// Whether this is for all names that start alike, and not for one.
    pub fn is_prefix(&self) -> bool {
        self.is_prefix
    }

    /// Whether a name is one of those meant. A prefix does not match itself:
    /// `/render.*` is not for `/render.`.
    pub fn matches(&self, name: &Name) -> bool {
        match self.is_prefix {
            false => self.name == *name,
            true => {
                let rest = name.as_str().strip_prefix(self.name.as_str());
                name.kind() == self.kind() && rest.is_some_and(|rest| !rest.is_empty())
            }
        }
    }

    /// The name, or the prefix without its star.
    pub(super) fn name(&self) -> &Name {
        &self.name
    }
}

/// The pattern as it is written: with the star, if it is a prefix.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)?;
        f.write_str(if self.is_prefix { "*" } else { "" })
    }
}

fn star(pattern: &str) -> GrantError {
    GrantError::Star {
        pattern: pattern.trim_end_matches('*').into(),
    }
}

/// Whether a name can be part of a grant's text. The characters that the text
/// itself uses cannot, nor those that would make it read as something else.
pub(super) fn fits_text(name: &str) -> bool {
    !name.contains(',') && !name.contains("::") && !name.contains(deceptive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_behind_a_separator() {
        for good in ["/a.*", "/a-*", "/a_*", "/a.b.*", "/...*"] {
            let pattern = Pattern::new(Kind::MessageQueue, good).unwrap();
            assert!(pattern.is_prefix());
            assert_eq!(pattern.to_string(), good);
        }
        for bad in [
            "*", "/*", "/a*", "/a.**", "/*a", "/a.*b", "/a*.*", "/*.*", "/.*", "/-*", "/..*",
            "/a.* ",
        ] {
            let error = Pattern::new(Kind::MessageQueue, bad).unwrap_err();
            assert!(matches!(error, GrantError::Star { .. }), "{bad:?}: {error}");
        }
        for bad in ["a.*", "//a.*", "/a/b.*"] {
            let error = Pattern::new(Kind::MessageQueue, bad).unwrap_err();
            assert!(matches!(error, GrantError::Name(_)), "{bad:?}: {error}");
        }
    }

    #[test]
    fn patterns_match_no_more_than_they_say() {
        let matches = |pattern, name| {
            Pattern::new(Kind::MessageQueue, pattern)
                .unwrap()
                .matches(&Name::new(Kind::MessageQueue, name).unwrap())
        };
        assert!(matches("/app", "/app"));
        for other in ["/app-evil", "/ap", "/APP", "/app ", "/app.", "/аpp"] {
            assert!(!matches("/app", other), "{other}");
        }
        assert!(matches("/a.*", "/a.b"));
        assert!(matches("/a.*", "/a.*"));
        assert!(matches("/a.*", "/a..."));
        for other in ["/a.", "/a", "/ab.c", "/A.b"] {
            assert!(!matches("/a.*", other), "{other}");
        }
    }

    #[test]
    fn a_prefix_is_for_names_of_its_kind_and_leaves_room_for_them() {
        for &kind in Kind::ALL {
            let limit = kind.longest_name();
            let prefix = |length: usize| format!("/{}.*", "x".repeat(length - 1));
            assert!(Pattern::new(kind, &prefix(limit - 1)).is_ok());
            assert!(Pattern::new(kind, &prefix(limit)).is_err());
        }
        assert!(Pattern::new(Kind::SharedMemory, "/sem.*").is_err());
        assert!(Pattern::new(Kind::SharedMemory, "/sem.a.*").is_err());
        assert!(Pattern::new(Kind::SharedMemory, "/sem-*").is_ok());
    }
}
