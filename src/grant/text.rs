//! Grants as text: `mq:/jobs::/in,recv,create,max=4`.

use super::pattern::fits_text;
use super::{Access, Bytes, Grant, GrantBuilder, GrantError, Lifecycle};
use crate::name::Kind;
use crate::name::show::{quoted, shell};
use std::fmt;
use std::mem::discriminant;
use std::str::FromStr;

impl Grant {
    /// Reads the value of a flag, where the flag says the kind:
    /// `/jobs::/in,recv,create`.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, GrantError> {
        let mut parts = text.split(',');
        let names = parts.next().unwrap_or_default();
        let mut settings: Vec<Setting> = Vec::new();
        for part in parts {
            let setting = Setting::parse(kind, part)?;
            if let Some(earlier) = settings.iter().find(|earlier| earlier.is_about(setting)) {
                return Err(GrantError::Repeated {
                    first: earlier.word(),
                    second: setting.word(),
                });
            }
            settings.push(setting);
        }
        let (name, guest_name) = names_of(names)?;
        let mut grant = Self::builder(kind, name);
        if let Some(guest_name) = &guest_name {
            grant = grant.guest_name(guest_name);
        }
        for setting in settings {
            grant = setting.apply(grant);
        }
        let grant = grant.build()?;
        let mut names = [Some(name), guest_name.as_deref()].into_iter().flatten();
        match names.find(|name| !fits_text(name)) {
            Some(name) => Err(GrantError::NotText { name: name.into() }),
            None => Ok(grant),
        }
    }

    /// The text for a flag, without the kind. With `says_access` it has the access
    /// even if that is the default.
    pub(super) fn flag_value(&self, says_access: bool) -> String {
        let mut text = self.names();
        for setting in self.settings(says_access) {
            text.push(',');
            text.push_str(&setting.word());
        }
        text
    }

    /// The flag of the command that gives this grant, as it may be pasted into a shell.
    /// There is none for names that take a manifest.
    pub fn to_flag(&self) -> Option<String> {
        let value = self.has_text().then(|| self.flag_value(true))?;
        Some(format!("--{} {}", self.kind(), shell(&value)))
    }

    /// The same options as the keys of a table in a manifest.
    pub(super) fn manifest_keys(&self, says_access: bool) -> String {
        let keys = self.settings(says_access);
        let keys: Vec<String> = keys.into_iter().map(Setting::manifest_key).collect();
        keys.join(", ")
    }

    /// The options that are not the default, in the order of the canonical text.
    fn settings(&self, says_access: bool) -> Vec<Setting> {
        let default = Access::default_of(self.kind());
        let access = Some(self.options.access).filter(|access| says_access || *access != default);
        let lifecycle =
            Some(self.options.lifecycle).filter(|lifecycle| *lifecycle != Lifecycle::default());
        [
            access.map(Setting::Access),
            lifecycle.map(Setting::Lifecycle),
            self.options.max_objects.map(Setting::MaxObjects),
            self.options.max_size.map(Setting::MaxSize),
            self.options.max_messages.map(Setting::MaxMessages),
            self.options.max_message_size.map(Setting::MaxMessageSize),
            self.options.undo.then_some(Setting::Undo),
            self.options.map.then_some(Setting::Map),
            self.options.keep.then_some(Setting::Keep),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Whether the canonical text can be read back.
    pub(super) fn has_text(&self) -> bool {
        fits_text(self.pattern.name().as_str())
            && self
                .guest_name
                .as_ref()
                .is_none_or(|name| fits_text(name.as_str()))
    }

    fn names(&self) -> String {
        let pattern = self.pattern.to_string();
        match (&self.guest_name, self.has_text()) {
            (None, true) => pattern,
            (Some(guest), true) => format!("{pattern}::{guest}"),
            (None, false) => quoted(&pattern).to_string(),
            (Some(guest), false) => format!("{}::{}", quoted(&pattern), quoted(guest.as_str())),
        }
    }
}

/// What stands before the first comma: the object's name, and the guest's for it.
fn names_of(text: &str) -> Result<(&str, Option<String>), GrantError> {
    // A name holds no second slash, so the guest's name is where the next one is.
    match text.split_once("::/") {
        Some((name, rest)) => Ok((name, Some(format!("/{rest}")))),
        None if text.contains("::") => Err(GrantError::GuestName { text: text.into() }),
        None => Ok((text, None)),
    }
}

/// The canonical text, with the kind in front and without defaults.
///
/// It can be parsed, unless a name holds a comma, `::` or an invisible character:
/// such names are shown in quotes, which the parser refuses.
impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind(), self.flag_value(false))
    }
}

impl FromStr for Grant {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        let (kind, rest) = text
            .split_once(':')
            .ok_or_else(|| GrantError::Kind { text: text.into() })?;
        Self::parse(kind.parse()?, rest)
    }
}

impl FromStr for Kind {
    type Err = GrantError;

    fn from_str(word: &str) -> Result<Self, GrantError> {
        let mut all = Self::ALL.iter().copied();
        all.find(|kind| kind.flag() == word)
            .ok_or_else(|| GrantError::Kind { text: word.into() })
    }
}

impl FromStr for Access {
    type Err = GrantError;

    fn from_str(word: &str) -> Result<Self, GrantError> {
        let mut all = Self::ALL.iter().copied();
        all.find(|access| access.word() == word)
            .ok_or_else(|| GrantError::Value {
                option: "access",
                value: word.into(),
                wanted: "use, post or wait for sem; ro or rw for shm; recv, send or both for mq",
            })
    }
}

impl FromStr for Lifecycle {
    type Err = GrantError;

    fn from_str(word: &str) -> Result<Self, GrantError> {
        let mut all = Self::ALL.iter().copied();
        all.find(|lifecycle| lifecycle.word() == word)
            .ok_or_else(|| GrantError::Value {
                option: "lifecycle",
                value: word.into(),
                wanted: "open, create or own",
            })
    }
}

/// One option.
#[derive(Clone, Copy)]
enum Setting {
    Access(Access),
    Lifecycle(Lifecycle),
    MaxObjects(u64),
    MaxSize(u64),
    MaxMessages(u32),
    MaxMessageSize(u32),
    Undo,
    Map,
    Keep,
}

impl Setting {
    fn parse(kind: Kind, text: &str) -> Result<Self, GrantError> {
        let (word, value) = match text.split_once('=') {
            Some((word, value)) => (word, Some(value)),
            None => (text, None),
        };
        let limit = value.unwrap_or_default();
        let setting = match word {
            "max" => Self::MaxObjects(number("max", limit)?),
            "max-size" => Self::MaxSize(size("max-size", limit)?),
            "max-msgs" => Self::MaxMessages(small("max-msgs", limit, number)?),
            "max-msg-size" => Self::MaxMessageSize(small("max-msg-size", limit, size)?),
            // No other option has a value.
            _ => match (text, text.parse(), text.parse()) {
                (_, Ok(access), _) => Self::Access(access),
                (_, _, Ok(lifecycle)) => Self::Lifecycle(lifecycle),
                ("undo", ..) => Self::Undo,
                ("map", ..) => Self::Map,
                ("keep", ..) => Self::Keep,
                _ => {
                    return Err(GrantError::UnknownOption {
                        kind,
                        option: text.into(),
                    });
                }
            },
        };
        Ok(setting)
    }

    fn apply(self, grant: GrantBuilder) -> GrantBuilder {
        match self {
            Self::Access(access) => grant.access(access),
            Self::Lifecycle(lifecycle) => grant.lifecycle(lifecycle),
            Self::MaxObjects(max) => grant.max_objects(max),
            Self::MaxSize(max) => grant.max_size(max),
            Self::MaxMessages(max) => grant.max_messages(max),
            Self::MaxMessageSize(max) => grant.max_message_size(max),
            Self::Undo => grant.undo(true),
            Self::Map => grant.map(true),
            Self::Keep => grant.keep(true),
        }
    }

    /// Whether two options cannot both be in one grant because they are about the
    /// same thing.
    fn is_about(self, other: Self) -> bool {
        discriminant(&self) == discriminant(&other)
    }

    fn word(self) -> String {
        match self {
            Self::Access(access) => access.to_string(),
            Self::Lifecycle(lifecycle) => lifecycle.to_string(),
            Self::MaxObjects(max) => format!("max={max}"),
            Self::MaxSize(max) => format!("max-size={}", Bytes(max)),
            Self::MaxMessages(max) => format!("max-msgs={max}"),
            Self::MaxMessageSize(max) => format!("max-msg-size={}", Bytes(max.into())),
            Self::Undo => "undo".into(),
            Self::Map => "map".into(),
            Self::Keep => "keep".into(),
        }
    }

    fn manifest_key(self) -> String {
        match self {
            Self::Access(access) => format!("access = \"{access}\""),
            Self::Lifecycle(lifecycle) => format!("lifecycle = \"{lifecycle}\""),
            Self::MaxObjects(max) => format!("max = {max}"),
            Self::MaxSize(max) => format!("max-size = \"{}\"", Bytes(max)),
            Self::MaxMessages(max) => format!("max-msgs = {max}"),
            Self::MaxMessageSize(max) => format!("max-msg-size = \"{}\"", Bytes(max.into())),
            Self::Undo => "undo = true".into(),
            Self::Map => "map = true".into(),
            Self::Keep => "keep = true".into(),
        }
    }
}

const NUMBER: &str = "a number such as 4";
const SIZE: &str = "a number of bytes such as 64B, 64KiB, 16MiB or 2GiB";

fn number(option: &'static str, value: &str) -> Result<u64, GrantError> {
    // `u64::from_str` would take a sign.
    Some(value)
        .filter(|value| !value.starts_with('+'))
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| GrantError::Value {
            option,
            value: value.into(),
            wanted: NUMBER,
        })
}

fn size(option: &'static str, value: &str) -> Result<u64, GrantError> {
    if value.is_empty() {
        return Err(GrantError::Value {
            option,
            value: value.into(),
            wanted: SIZE,
        });
    }
    value
        .parse()
        .map(|Bytes(bytes)| bytes)
        .map_err(|error| GrantError::Size { option, error })
}

/// A limit of queues, which the kernel counts in 32 bits.
fn small(
    option: &'static str,
    value: &str,
    read: fn(&'static str, &str) -> Result<u64, GrantError>,
) -> Result<u32, GrantError> {
    u32::try_from(read(option, value)?).map_err(|_| GrantError::Value {
        option,
        value: value.into(),
        wanted: "less than 4GiB",
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{every_grant, renamed};
    use super::*;

    #[test]
    fn texts_mean_what_they_say() {
        let mq = || Grant::message_queue("/jobs");
        let shm = || Grant::shared_memory("/render.*");
        let sem = || Grant::semaphore("/gate");
        for (text, grant) in [
            ("mq:/jobs", mq()),
            ("mq:/jobs,both,open", mq()),
            ("mq:/jobs::/jobs", mq()),
            ("mq:/jobs,recv", mq().access(Access::Receive)),
            ("mq:/jobs::/in", mq().guest_name("/in")),
            ("mq:/jobs,max-msgs=5", mq().max_messages(5)),
            ("mq:/jobs,max-msg-size=1KiB", mq().max_message_size(1024)),
            ("shm:/render.*,ro", shm().access(Access::ReadOnly)),
            ("shm:/render.*,max-size=16MiB", shm().max_size(16 << 20)),
            ("shm:/render.*,max=4", shm().max_objects(4)),
            (
                "shm:/render.*,keep,own",
                shm().lifecycle(Lifecycle::Own).keep(true),
            ),
            ("sem:/gate,undo", sem().undo(true)),
            ("sem:/gate,map,use", sem().map(true)),
        ] {
            assert_eq!(text.parse(), grant.build(), "{text}");
        }
    }

    #[test]
    fn every_refusal_says_why() {
        for (text, reason) in [
            ("", "is not a kind"),
            ("/jobs", "is not a kind"),
            ("queue:/jobs", "\"queue\" is not a kind"),
            ("MQ:/jobs", "is not a kind"),
            ("mq:", "must start with a slash"),
            ("mq:jobs", "must start with a slash"),
            ("mq: /jobs", "must start with a slash"),
            ("mq:/*", "a star stands at the end"),
            ("mq:/jobs,", "unknown option \"\""),
            ("mq:/jobs,,recv", "unknown option \"\""),
            (
                "mq:/jobs, recv",
                "unknown option \" recv\"; the options of mq are recv, send, both, open, create, own, max=N, max-msgs=N, max-msg-size=SIZE, keep (an object whose name holds a comma",
            ),
            ("mq:/jobs,RECV", "unknown option"),
            ("mq:/jobs,receive", "unknown option"),
            (
                "mq:/jobs,ro",
                "\"ro\" is not an option of mq; the options of mq are recv, send",
            ),
            ("mq:/jobs,map", "\"map\" is not an option of mq"),
            ("shm:/a,undo", "\"undo\" is not an option of shm"),
            ("sem:/a,max-size=1B", "\"max-size\" is not an option of sem"),
            ("shm:/a,max-msgs=1", "\"max-msgs\" is not an option of shm"),
            ("mq:/jobs,recv,recv", "\"recv\" is given twice"),
            (
                "mq:/jobs,recv,send",
                "\"recv\" and \"send\" exclude each other",
            ),
            ("mq:/jobs,both,recv", "exclude each other"),
            (
                "mq:/jobs,own,create",
                "\"own\" and \"create\" exclude each other",
            ),
            (
                "mq:/jobs,max=1,max=2",
                "\"max=1\" and \"max=2\" exclude each other",
            ),
            ("mq:/jobs,keep", "add \"create\" or \"own\""),
            ("sem:/a,undo,map", "\"undo\" and \"map\" exclude each other"),
            ("sem:/a,map,wait", "write it with \"use\""),
            ("sem:/a,undo=1", "unknown option \"undo=1\""),
            ("mq:/jobs,max", "max needs a value: a number such as 4"),
            ("mq:/jobs,max=", "max needs a value"),
            ("mq:/jobs,max=0", "max cannot be \"0\": it is at least 1"),
            ("mq:/jobs,max=+1", "max cannot be \"+1\""),
            ("mq:/jobs,max=-1", "max cannot be"),
            ("mq:/jobs,max=1KiB", "max cannot be"),
            ("mq:/jobs,max=1=2", "max cannot be"),
            (
                "shm:/a,max-size=16MB",
                "max-size: \"16MB\" is not a size such as 64B, 64KiB, 16MiB or 2GiB",
            ),
            (
                "shm:/a,max-size=64",
                "max-size: 64 of what? write 64B, 64KiB, 64MiB or 64GiB",
            ),
            ("mq:/a,max-msg-size=64", "max-msg-size: 64 of what?"),
            (
                "shm:/a,max-size",
                "max-size needs a value: a number of bytes such as",
            ),
            (
                "shm:/a,max-size=0",
                "max-size cannot be \"0\": it is at least 1",
            ),
            ("shm:/a,max-size=17179869184GiB", "is too large"),
            ("mq:/a,max-msg-size=4GiB", "less than 4GiB"),
            ("mq:/a,max-msgs=4294967296", "less than"),
            ("mq:/jobs::", "must be followed by the guest's name"),
            ("mq:/jobs::in", "must be followed by the guest's name"),
            ("mq:/a::b", "granted in a manifest"),
            ("mq:::/in", "must start with a slash"),
            ("mq:/jobs::/", "something must follow the slash"),
            ("mq:/jobs::/a::/b", "only its first character"),
            ("mq:/a::b::/c", "cannot be written here"),
            ("mq:/a\nb", "cannot be written here"),
            ("mq:/a\u{202e}b", "cannot be written here"),
            ("mq:/a.*::/b", "only a single object can have another name"),
            ("mq:/a::/b.*", "only a single object can have another name"),
            ("mq:/a::/b*", "a star stands at the end"),
            ("shm:/sem.a", "use semaphore /a itself"),
            ("shm:/a::/sem.a", "use semaphore /a itself"),
        ] {
            let message = text.parse::<Grant>().unwrap_err().to_string();
            assert!(message.contains(reason), "{text:?}: {message}");
        }
    }

    #[test]
    fn the_text_of_every_grant_reads_back_as_that_grant() {
        let mut count = 0;
        for &kind in Kind::ALL {
            for pattern in ["/a", "/a:", "/a.*", "/a b", "/'\"\\", "/ä", "/a=1"] {
                for plain in every_grant(kind, pattern) {
                    let renamed = ["/b", "/:b", "/a"].map(|name| renamed(&plain, name));
                    let mut limited = plain.clone();
                    limited.options.max_objects = Some(u64::MAX);
                    limited.options.max_size = (kind == Kind::SharedMemory).then_some(3 << 20);
                    let is_queue = kind == Kind::MessageQueue;
                    limited.options.max_messages = is_queue.then_some(u32::MAX);
                    limited.options.max_message_size = is_queue.then_some(1025);
                    for grant in renamed.into_iter().flatten().chain([plain, limited]) {
                        let text = grant.to_string();
                        assert_eq!(text.parse().as_ref(), Ok(&grant), "{text}");
                        assert_eq!(Grant::parse(kind, &grant.flag_value(true)), Ok(grant));
                        count += 1;
                    }
                }
            }
        }
        assert!(count > 1000, "{count}");
    }

    #[test]
    fn the_canonical_text_has_one_order_and_no_defaults() {
        for (text, canonical) in [
            ("mq:/jobs,open,both", "mq:/jobs"),
            (
                "mq:/jobs::/in,max=2,create,recv,keep",
                "mq:/jobs::/in,recv,create,max=2,keep",
            ),
            ("shm:/a,max-size=1024KiB,own", "shm:/a,own,max-size=1MiB"),
        ] {
            assert_eq!(text.parse::<Grant>().unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn a_name_that_is_no_text_never_reads_as_another_grant() {
        for (name, shown) in [
            ("/a,own", r#"mq:"/a,own",recv"#),
            ("/a::/b", r#"mq:"/a",recv"#),
            ("/a::b", r#"mq:"/a::b",recv"#),
            ("/a\n", r#"mq:"/a\n",recv"#),
        ] {
            let grant = Grant::message_queue(name).access(Access::Receive);
            let Ok(grant) = grant.build() else {
                assert_eq!(name, "/a::/b");
                continue;
            };
            assert_eq!(grant.to_string(), shown);
            assert!(grant.to_string().parse::<Grant>().is_err());
            let grant = Grant::message_queue("/x").guest_name(name).build();
            assert!(grant.unwrap().to_string().parse::<Grant>().is_err());
        }
    }

    #[test]
    fn whatever_can_be_read_reads_back() {
        let tokens = [
            "/", "a", ":", ",", "*", ".", "=", "1", "recv", "max", "own", "\n",
        ];
        let mut texts = vec![String::new()];
        let mut read = 0;
        for _ in 0..5 {
            texts = texts
                .iter()
                .flat_map(|text| tokens.map(|token| format!("{text}{token}")))
                .collect();
            for text in &texts {
                let Ok(grant) = Grant::parse(Kind::MessageQueue, &format!("/a{text}")) else {
                    continue;
                };
                read += 1;
                assert_eq!(grant.to_string().parse(), Ok(grant), "{text:?}");
            }
        }
        assert!(read > 1000, "{read}");
    }
}
