//! Why a grant is refused.

use super::bytes::BytesError;
use super::rights::options;
use crate::name::show::{quoted, shown};
use crate::name::{Kind, NameError};
use std::fmt;

/// Why a text, or a combination of options, is not a grant. The message says what
/// would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GrantError {
    /// The text does not start with a kind.
    Kind {
        /// What stands in its place.
        text: String,
    },
    /// The object's name or the guest's name for it is not one.
    Name(NameError),
    /// A star that is not at the end, behind a separator.
    Star {
        /// The pattern, without a star at the end.
        pattern: String,
    },
    /// A pattern for more than one object was given a name for the guest.
    PrefixRenamed {
        /// The pattern.
        pattern: String,
    },
    /// The name cannot be part of a text.
    NotText {
        /// The name.
        name: String,
    },
    /// The part behind `::` is not a name of its own.
    GuestName {
        /// All that stands before the first comma.
        text: String,
    },
    /// No grant has this option.
    UnknownOption {
        /// The kind of the grant.
        kind: Kind,
        /// The option.
        option: String,
    },
    /// Only grants of another kind have this option.
    OtherKind {
        /// The kind of the grant.
        kind: Kind,
        /// The option.
        option: String,
    },
    /// Two options say the same thing, or contradict each other.
    Repeated {
        /// The option.
        first: String,
        /// What repeats it.
        second: String,
    },
    /// An option's value is missing, too much, or not one that it takes.
    Value {
        /// The option.
        option: &'static str,
        /// Its value; empty if there is none.
        value: String,
        /// What it takes.
        wanted: &'static str,
    },
    /// An option's value is not a number of bytes.
    Size {
        /// The option.
        option: &'static str,
        /// Why it is none.
        error: BytesError,
    },
    /// Two options do not go together.
    Conflict {
        /// Which, and what to write.
        problem: &'static str,
    },
    /// The guest has a grant for this already.
    Twice {
        /// The kind of both grants.
        kind: Kind,
        /// What the guest calls it: a name, or a prefix with its star.
        name: String,
    },
    /// The guest has a namespace of its own, which leaves nothing to grant.
    Private,
}

impl fmt::Display for GrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind { text } => write!(
                f,
                "{} is not a kind: a grant starts with \"sem:\", \"shm:\" or \"mq:\", as in \"mq:/jobs,recv\"",
                quoted(text)
            ),
            Self::Name(error) => error.fmt(f),
            Self::Star { pattern } => write!(
                f,
                "a star stands at the end and behind a name that ends in '.', '-' or '_', as in \"/render.*\"; here it follows {}",
                quoted(pattern)
            ),
            Self::PrefixRenamed { pattern } => write!(
                f,
                "{} is for more than one object: only a single object can have another name for the guest",
                quoted(pattern)
            ),
            Self::NotText { name } => write!(
                f,
                "the name {} cannot be written here, because it holds a comma, \"::\" or an invisible character; grant it in a manifest",
                quoted(name)
            ),
            Self::GuestName { text } => write!(
                f,
                "in {}, \"::\" must be followed by the guest's name for the object, as in \"/jobs::/in\"; an object whose own name holds \"::\" is granted in a manifest",
                quoted(text)
            ),
            Self::UnknownOption { kind, option } => {
                write!(f, "unknown option {}; ", quoted(option))?;
                write!(f, "the options of {kind} are {}", options(*kind))?;
                f.write_str(" (an object whose name holds a comma is granted in a manifest)")
            }
            Self::OtherKind { kind, option } => write!(
                f,
                "{} is not an option of {kind}; the options of {kind} are {}",
                quoted(option),
                options(*kind)
            ),
            Self::Repeated { first, second } if first == second => {
                write!(f, "{} is given twice; write it once", quoted(first))
            }
            Self::Repeated { first, second } => write!(
                f,
                "{} and {} exclude each other; write one of them",
                quoted(first),
                quoted(second)
            ),
            Self::Value {
                option,
                value,
                wanted,
            } if value.is_empty() => write!(f, "{option} needs a value: {wanted}"),
            Self::Value {
                option,
                value,
                wanted,
            } => write!(f, "{option} cannot be {}: it is {wanted}", quoted(value)),
            Self::Size { option, error } => write!(f, "{option}: {error}"),
            Self::Conflict { problem } => f.write_str(problem),
            Self::Twice { kind, name } => {
                write!(f, "{kind}:{} is granted twice; write one grant", shown(name))
            }
            Self::Private => f.write_str(
                "a private namespace grants every name in it; remove the grants or the private namespace",
            ),
        }
    }
}

impl std::error::Error for GrantError {}

impl From<NameError> for GrantError {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}
