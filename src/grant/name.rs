//! Names of objects, and the patterns that grant them.

use super::show::{deceptive, quoted, shown};
use super::{GrantError, Kind};
use std::fmt;

/// How a file that holds a semaphore's memory is named: the semaphore `/gate` is
/// the shared-memory object `/sem.gate`.
const SEMAPHORE_FILE_PREFIX: &str = "sem.";

/// What a prefix ends in, so that a grant for the objects of `/app` is never one
/// for those of `/apple`.
pub(super) const SEPARATORS: [char; 3] = ['.', '-', '_'];

/// The name of one object: valid for its kind, with a leading slash.
///
/// The kernel and the C library accept more than one spelling of a semaphore's or
/// a segment's name (`x`, `/x`, `//x`). Only one of them is a `Name`, so that two
/// names are the same object exactly if they are equal.
///
/// ```
/// use wasmtime_posix_ipc::grant::{Kind, Name, NameError};
///
/// let name = Name::new(Kind::MessageQueue, "/jobs")?;
/// assert_eq!(name.as_str(), "/jobs");
/// assert!(Name::new(Kind::MessageQueue, "//jobs").is_err());
/// # Ok::<(), NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    kind: Kind,
    text: Box<str>,
}

impl Name {
    /// Checks a name.
    pub fn new(kind: Kind, name: &str) -> Result<Self, NameError> {
        check(kind, name)?;
        Ok(Self {
            kind,
            text: name.into(),
        })
    }

    /// The kind of object that this is a name of.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The name with its leading slash, as the POSIX functions take it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name without its slash.
    pub(super) fn stem(&self) -> &str {
        &self.text[1..]
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

fn check(kind: Kind, name: &str) -> Result<(), NameError> {
    let invalid = |problem| {
        Err(NameError::Invalid {
            kind,
            name: name.into(),
            problem,
        })
    };
    // The length comes first: what follows reads every byte, and a guest may send
    // many of them.
    let length = name.strip_prefix('/').unwrap_or(name).len();
    if length > kind.longest_name() {
        return Err(NameError::TooLong {
            kind,
            length,
            limit: kind.longest_name(),
        });
    }
    let Some(stem) = name.strip_prefix('/') else {
        return invalid(r#"it must start with a slash, as in "/jobs""#);
    };
    match stem {
        "" => return invalid(r#"something must follow the slash, as in "/jobs""#),
        "." | ".." => return invalid("it means a directory; choose another"),
        _ => {}
    }
    if stem.contains('/') {
        return invalid("only its first character may be a slash");
    }
    if stem.contains('\0') {
        return invalid("it must not contain a NUL character");
    }
    if kind == Kind::SharedMemory
        && let Some(semaphore) = stem.strip_prefix(SEMAPHORE_FILE_PREFIX)
    {
        return Err(NameError::SemaphoreMemory {
            semaphore: format!("/{semaphore}"),
        });
    }
    Ok(())
}

/// Why a text is not the name of an object.
///
/// The message shows the name with control characters escaped, so that it can be
/// logged as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// The text is not a name, similar to `EINVAL` in POSIX.
    Invalid {
        /// The kind that a name was wanted of.
        kind: Kind,
        /// The text.
        name: String,
        /// What is wrong with it, and what would be right.
        problem: &'static str,
    },
    /// The text is too long, similar to `ENAMETOOLONG` in POSIX.
    TooLong {
        /// The kind that a name was wanted of.
        kind: Kind,
        /// Its length in bytes, without the slash.
        length: usize,
        /// How many bytes it may have at most, without the slash.
        limit: usize,
    },
    /// The text is a shared-memory name that starts with `/sem.`: the memory of a
    /// semaphore. Whoever may write it can give the semaphore any value and crash
    /// its users, so it is nobody's as shared memory.
    SemaphoreMemory {
        /// The name of that semaphore.
        semaphore: String,
    },
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid {
                kind,
                name,
                problem,
            } => write!(
                f,
                "{} is not the name of a {}: {problem}",
                quoted(name),
                kind.noun()
            ),
            Self::TooLong {
                kind,
                length,
                limit,
            } => write!(
                f,
                "the name of a {} has {length} bytes after the slash, {limit} are the most",
                kind.noun()
            ),
            Self::SemaphoreMemory { semaphore } => {
                f.write_str("shared-memory names that start with \"/sem.\" are the memory of ")?;
                match semaphore.as_str() {
                    "/" => f.write_str("semaphores: use the semaphores themselves"),
                    name => write!(f, "semaphores: use semaphore {} itself", shown(name)),
                }
            }
        }
    }
}

impl std::error::Error for NameError {}

/// Which names a grant is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pattern {
    /// One name.
    Exact(Name),
    /// Every name that starts so and goes on.
    Prefix(Prefix),
}

impl Pattern {
    /// Reads a name, or a prefix with a star behind it: `/render.*`.
    pub fn new(kind: Kind, pattern: &str) -> Result<Self, GrantError> {
        match pattern.strip_suffix('*') {
            Some(prefix) => Prefix::new(kind, prefix).map(Self::Prefix),
            None if pattern.contains('*') => Err(star(pattern)),
            None => Ok(Self::Exact(Name::new(kind, pattern)?)),
        }
    }

    /// The kind of object that this is for.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Exact(name) => name.kind(),
            Self::Prefix(prefix) => prefix.0.kind(),
        }
    }

    /// Whether a valid name is one of those meant. A prefix does not match itself:
    /// `/render.*` is not for `/render.`.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => exact.as_str() == name,
            Self::Prefix(prefix) => name
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| !rest.is_empty()),
        }
    }

    /// The name, or the prefix without its star.
    pub(super) fn name(&self) -> &Name {
        match self {
            Self::Exact(name) => name,
            Self::Prefix(prefix) => &prefix.0,
        }
    }
}

/// The pattern as it is written: with the star, if it is a prefix.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => name.fmt(f),
            Self::Prefix(prefix) => write!(f, "{}*", prefix.as_str()),
        }
    }
}

/// The start of names: a name that ends in `.`, `-` or `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Prefix(Name);

impl Prefix {
    /// Reads a prefix, which is written without the star here.
    fn new(kind: Kind, prefix: &str) -> Result<Self, GrantError> {
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
        Ok(Self(name))
    }

    /// The prefix with its leading slash and without the star.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
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
    fn only_one_spelling_of_a_name_is_valid() {
        for kind in Kind::ALL {
            for good in [
                "/a", "/jobs", "/a.b", "/...", "/.a", "/ä", "/a b", "/a\n", "/a*", "/SEM.a", "/sem",
            ] {
                assert_eq!(Name::new(kind, good).unwrap().as_str(), good);
            }
            for bad in [
                "", "/", "//", "a", "jobs", "//a", "///a", "/a/", "/a/b", "/a/../b", "/.", "/..",
                "./a", " /a", "/a\0", "/\0", "\0",
            ] {
                let error = Name::new(kind, bad).unwrap_err();
                assert!(
                    matches!(error, NameError::Invalid { .. }),
                    "{bad:?}: {error}"
                );
            }
        }
    }

    #[test]
    fn each_kind_has_its_length() {
        for (kind, limit) in [
            (Kind::Semaphore, 251),
            (Kind::SharedMemory, 255),
            (Kind::MessageQueue, 255),
        ] {
            let name = |length: usize| format!("/{}", "x".repeat(length));
            assert!(Name::new(kind, &name(limit)).is_ok());
            assert_eq!(
                Name::new(kind, &name(limit + 1)),
                Err(NameError::TooLong {
                    kind,
                    length: limit + 1,
                    limit
                })
            );
            // Bytes count, not characters.
            let wide = format!("/{}", "é".repeat(limit / 2 + 1));
            assert!(matches!(
                Name::new(kind, &wide),
                Err(NameError::TooLong { .. })
            ));
            // Too long is said of what is wrong in other ways too: nothing else is read.
            let other = "/".repeat(1 << 20);
            assert!(matches!(
                Name::new(kind, &other),
                Err(NameError::TooLong { .. })
            ));

            let prefix = |length: usize| format!("/{}.*", "x".repeat(length - 1));
            assert!(Pattern::new(kind, &prefix(limit - 1)).is_ok());
            assert!(Pattern::new(kind, &prefix(limit)).is_err());
        }
    }

    #[test]
    fn the_memory_of_a_semaphore_is_not_shared_memory() {
        for name in ["/sem.a", "/sem.", "/sem.sem.a"] {
            let error = Name::new(Kind::SharedMemory, name).unwrap_err();
            assert!(
                matches!(error, NameError::SemaphoreMemory { .. }),
                "{error}"
            );
            assert!(Name::new(Kind::Semaphore, name).is_ok());
            assert!(Name::new(Kind::MessageQueue, name).is_ok());
        }
        assert_eq!(
            Name::new(Kind::SharedMemory, "/sem.a\nb")
                .unwrap_err()
                .to_string(),
            r#"shared-memory names that start with "/sem." are the memory of semaphores: use semaphore "/a\nb" itself"#
        );
        assert!(Pattern::new(Kind::SharedMemory, "/sem.*").is_err());
        assert!(Pattern::new(Kind::SharedMemory, "/sem.a.*").is_err());
        assert!(Pattern::new(Kind::SharedMemory, "/sem-*").is_ok());
    }

    #[test]
    fn messages_say_what_is_wrong_and_what_is_right() {
        for (name, message) in [
            (
                "jobs",
                r#""jobs" is not the name of a message queue: it must start with a slash, as in "/jobs""#,
            ),
            (
                "/a/b",
                r#""/a/b" is not the name of a message queue: only its first character may be a slash"#,
            ),
            (
                "/a\0\x1b",
                r#""/a\u{0}\u{1b}" is not the name of a message queue: it must not contain a NUL character"#,
            ),
        ] {
            assert_eq!(
                Name::new(Kind::MessageQueue, name).unwrap_err().to_string(),
                message
            );
        }
    }

    #[test]
    fn a_star_stands_behind_a_separator() {
        for good in ["/a.*", "/a-*", "/a_*", "/a.b.*", "/...*"] {
            let pattern = Pattern::new(Kind::MessageQueue, good).unwrap();
            assert!(matches!(pattern, Pattern::Prefix(_)));
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
                .matches(name)
        };
        assert!(matches("/app", "/app"));
        for other in ["/app-evil", "/ap", "/APP", "/app ", "/app.", "/аpp"] {
            assert!(!matches("/app", other), "{other}");
        }
        assert!(matches("/a.*", "/a.b"));
        assert!(matches("/a.*", "/a.*"));
        assert!(matches("/a.*", "/a..."));
        for other in ["/a.", "/a", "/ab.c", "/A.b", "/b/a.c"] {
            assert!(!matches("/a.*", other), "{other}");
        }
    }
}
