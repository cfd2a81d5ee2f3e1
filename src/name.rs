//! Names of objects: checked once, and then carried from the grant to the system call,
//! the ledger and the audit.

pub(crate) mod show;

use show::{quoted, shown};
use std::ffi::CStr;
use std::fmt;
use std::sync::Arc;

/// A kind of object. Each has its own names.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A named semaphore: `sem`.
    Semaphore,
    /// A shared-memory object: `shm`.
    SharedMemory,
    /// A message queue: `mq`.
    MessageQueue,
}

impl Kind {
    /// The three kinds.
    pub const ALL: &'static [Self] = &[Self::Semaphore, Self::SharedMemory, Self::MessageQueue];

    /// The word for this kind in grants, and after `--` the flag for one.
    pub const fn flag(self) -> &'static str {
        match self {
            Self::Semaphore => "sem",
            Self::SharedMemory => "shm",
            Self::MessageQueue => "mq",
        }
    }

    /// How many bytes a name of this kind may have after its slash.
    pub const fn longest_name(self) -> usize {
        match self {
            // The file of the semaphore `/gate` is called `sem.gate`.
            Self::Semaphore => 251,
            Self::SharedMemory | Self::MessageQueue => 255,
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Semaphore => "semaphore",
            Self::SharedMemory => "shared-memory object",
            Self::MessageQueue => "message queue",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.flag())
    }
}

/// How a file that holds a semaphore's memory is named: the semaphore `/gate` is
/// the shared-memory object `/sem.gate`.
const SEMAPHORE_FILE_PREFIX: &str = "sem.";

/// The name of one object: valid for its kind, with a leading slash.
///
/// The kernel and the C library accept more than one spelling of a semaphore's or
/// a segment's name (`x`, `/x`, `//x`). Only one of them is a `Name`, so that two
/// names are the same object exactly if they are equal. Cloning one is cheap.
///
/// ```
/// use wasmtime_posix_ipc::grant::{Kind, Name, NameError};
///
/// let name = Name::new(Kind::MessageQueue, "/jobs")?;
/// assert_eq!(name.as_str(), "/jobs");
/// assert_eq!(name.as_c_str(), c"/jobs");
/// assert!(Name::new(Kind::MessageQueue, "//jobs").is_err());
/// # Ok::<(), NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    kind: Kind,
    /// With the NUL that the system calls want at the end.
    text: Arc<str>,
}

impl Name {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// If the text is not the name of an object of this kind.
    pub fn new(kind: Kind, name: &str) -> Result<Self, NameError> {
        check(kind, name)?;
        Ok(Self {
            kind,
            text: format!("{name}\0").into(),
        })
    }

    /// A name that nobody else has.
    #[cfg(test)]
    pub(crate) fn unique(kind: Kind) -> Self {
        let name = format!("/posix-ipc.test.{:016x}", rand::random::<u64>());
        Self::new(kind, &name).unwrap()
    }

    /// The kind of object that this is a name of.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The name with its leading slash, as the POSIX functions take it.
    pub fn as_str(&self) -> &str {
        &self.text[..self.text.len() - 1]
    }

    /// The same for a system call.
    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(self.text.as_bytes()).unwrap_or_default()
    }

    /// The name without its slash.
    pub(crate) fn stem(&self) -> &str {
        &self.as_str()[1..]
    }

    /// The name with a prefix in front, which has a slash and leaves the name valid
    /// unless it becomes too long.
    pub(crate) fn prefixed(&self, prefix: &Self) -> Result<Self, NameError> {
        let limit = self.kind.longest_name().saturating_sub(prefix.stem().len());
        let length = self.stem().len();
        if length > limit {
            return Err(NameError::TooLong {
                kind: self.kind,
                length,
                limit,
            });
        }
        Ok(Self {
            kind: self.kind,
            text: format!("{prefix}{}\0", self.stem()).into(),
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:?}", self.kind, self.as_str())
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        self.as_str()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_spelling_of_a_name_is_valid() {
        for &kind in Kind::ALL {
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
}
