//! Grants and quota from a file.
//!
//! ```toml
//! [[mq]]
//! name = "/jobs"
//! guest = "/in"           # the guest's name for it; the same by default
//! access = "recv"
//!
//! [[shm]]
//! name = "/render.*"
//! lifecycle = "create"
//! max = 4
//! max-size = "16MiB"
//!
//! [[sem]]
//! name = "/gate"
//! undo = true
//!
//! [quota]
//! handles = 64
//! shm-bytes = "64MiB"
//! wait = "30s"
//! ```
//!
//! The keys of a grant are the options of its text form. A name may hold whatever
//! the operating system allows, which the text form does not.

use anyhow::{Context, Error, Result, anyhow};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::path::Path;
use std::time::Duration;
use toml::Spanned;
use wasmtime_posix_ipc::grant::{Bytes, Grant, GrantError, Grants, Kind, Lifecycle, Name};
use wasmtime_posix_ipc::quota::{Quota, Resource};

/// What a file grants.
#[derive(Debug, Default)]
pub struct Manifest {
    /// In the order of the file, kind by kind.
    pub grants: Grants,
    /// The defaults where the file says nothing.
    pub quota: Quota,
}

impl Manifest {
    /// Reads a file. Errors say in which line they are.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the manifest {} cannot be read", path.display()))?;
        Self::parse(&text).with_context(|| format!("the manifest {} is wrong", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let file: File = toml::from_str(text)?;
        Self::new(text, [file.sem, file.shm, file.mq], file.quota)
    }

    /// Of the tables `sem`, `shm` and `mq` of a text.
    pub fn new(text: &str, tables: [Vec<Spanned<Table>>; 3], quota: QuotaTable) -> Result<Self> {
        let kinds = [Kind::Semaphore, Kind::SharedMemory, Kind::MessageQueue];
        let mut grants = Grants::new();
        for (kind, tables) in kinds.into_iter().zip(tables) {
            for table in tables {
                let at = |error: GrantError| located(text, &table, kind, &error);
                let grant = table.get_ref().grant(kind).map_err(at)?;
                grants.add(grant).map_err(at)?;
            }
        }
        Ok(Self {
            grants,
            quota: quota.0,
        })
    }

    /// A file that says the same.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for grant in self.grants.iter() {
            text += &table(grant);
        }
        text += "[quota]\n";
        for resource in Resource::ALL {
            let limit = resource.limit(&self.quota);
            let key = resource.key();
            text += &match resource.is_bytes() {
                true => format!("{key} = \"{}\"\n", Bytes(limit)),
                // The numbers of TOML end there.
                false => format!("{key} = {}\n", limit.min(i64::MAX as u64)),
            };
        }
        if let Some(wait) = self.quota.wait {
            text += &format!("wait = \"{}\"\n", humantime::format_duration(wait));
        }
        text
    }
}

fn located(text: &str, table: &Spanned<Table>, kind: Kind, error: &GrantError) -> Error {
    let line = text[..table.span().start].lines().count() + 1;
    anyhow!(
        "line {line}, [[{kind}]] {:?}: {error}",
        table.get_ref().name
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    sem: Vec<Spanned<Table>>,
    #[serde(default)]
    shm: Vec<Spanned<Table>>,
    #[serde(default)]
    mq: Vec<Spanned<Table>>,
    #[serde(default)]
    quota: QuotaTable,
}

/// A grant as a table of a manifest.
pub fn table(grant: &Grant) -> String {
    let table = toml::to_string(&Table::of(grant)).expect("texts, numbers and flags are TOML");
    format!("[[{}]]\n{table}", grant.kind())
}

/// A grant. Which keys its kind does not have is for [`Grant`] to say.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Table {
    name: String,
    guest: Option<String>,
    access: Option<String>,
    lifecycle: Option<String>,
    max: Option<u64>,
    max_size: Option<Size>,
    max_msgs: Option<u32>,
    max_msg_size: Option<Size>,
    #[serde(default, skip_serializing_if = "is_off")]
    undo: bool,
    #[serde(default, skip_serializing_if = "is_off")]
    map: bool,
    #[serde(default, skip_serializing_if = "is_off")]
    keep: bool,
}

fn is_off(flag: &bool) -> bool {
    !flag
}

impl Table {
    fn of(grant: &Grant) -> Self {
        Self {
            name: grant.pattern().to_string(),
            guest: grant.guest_name().map(Name::to_string),
            access: Some(grant.access().to_string()),
            lifecycle: Some(grant.lifecycle())
                .filter(|lifecycle| *lifecycle != Lifecycle::default())
                .map(|lifecycle| lifecycle.to_string()),
            max: grant.max_objects(),
            max_size: grant.max_size().map(Size),
            max_msgs: grant.max_messages(),
            max_msg_size: grant.max_message_size().map(u64::from).map(Size),
            undo: grant.undo(),
            map: grant.map(),
            keep: grant.keep(),
        }
    }

    fn grant(&self, kind: Kind) -> Result<Grant, GrantError> {
        let size = |size: &Option<Size>| size.as_ref().map(|Size(bytes)| *bytes);
        let max_message_size = size(&self.max_msg_size).map(|max| {
            u32::try_from(max).map_err(|_| GrantError::Value {
                option: "max-msg-size",
                value: max.to_string(),
                wanted: "less than 4GiB",
            })
        });
        let mut grant = Grant::builder(kind, &self.name)
            .max_objects(self.max)
            .max_size(size(&self.max_size))
            .max_messages(self.max_msgs)
            .max_message_size(max_message_size.transpose()?)
            .undo(self.undo)
            .map(self.map)
            .keep(self.keep);
        if let Some(guest) = &self.guest {
            grant = grant.guest_name(guest);
        }
        if let Some(access) = &self.access {
            grant = grant.access(access.parse()?);
        }
        if let Some(lifecycle) = &self.lifecycle {
            grant = grant.lifecycle(lifecycle.parse()?);
        }
        grant.build()
    }
}

/// The table of limits. Its keys come from the library.
#[derive(Default)]
pub struct QuotaTable(Quota);

impl<'de> Deserialize<'de> for QuotaTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Table;

        impl<'de> Visitor<'de> for Table {
            type Value = QuotaTable;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of limits")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<QuotaTable, M::Error> {
                let mut quota = Quota::default();
                while let Some(key) = map.next_key()? {
                    match key {
                        Limit::Of(resource) if resource.is_bytes() => {
                            let Size(bytes) = map.next_value()?;
                            resource.set_limit(&mut quota, bytes);
                        }
                        Limit::Of(resource) => resource.set_limit(&mut quota, map.next_value()?),
                        Limit::Wait => {
                            let Wait(longest) = map.next_value()?;
                            quota.wait = Some(longest);
                        }
                    }
                }
                Ok(QuotaTable(quota))
            }
        }

        deserializer.deserialize_map(Table)
    }
}

/// A key of the table of limits.
enum Limit {
    Of(Resource),
    Wait,
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = String::deserialize(deserializer)?;
        let known = Resource::ALL.iter().find(|resource| resource.key() == key);
        match known {
            Some(resource) => Ok(Self::Of(*resource)),
            None if key == "wait" => Ok(Self::Wait),
            None => {
                let keys: Vec<_> = Resource::ALL
                    .iter()
                    .map(|resource| resource.key())
                    .collect();
                Err(de::Error::custom(format_args!(
                    "unknown field `{key}`, expected one of {}, wait",
                    keys.join(", ")
                )))
            }
        }
    }
}

/// A number of bytes with its unit: a text such as `"64MiB"`. An integer can only be 0.
struct Size(u64);

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Bytes(self.0).to_string())
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        quantity(deserializer, "a size such as \"64KiB\"", |text| {
            text.parse().map(|Bytes(bytes)| Self(bytes))
        })
    }
}

/// A time: `"500ms"`, `"30s"`, `"5m"` or `"1h"`.
pub struct Wait(pub Duration);

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        quantity(deserializer, "a time such as \"30s\"", |text| {
            parse_duration(text).map(Self)
        })
    }
}

/// Reads a number with its unit, from a text. An integer is read as a text without a unit.
fn quantity<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    deserializer: D,
    expected: &'static str,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    struct Quantity<R>(&'static str, R);

    impl<T, E: fmt::Display, R: Fn(&str) -> Result<T, E>> Visitor<'_> for Quantity<R> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_i64<F: de::Error>(self, number: i64) -> Result<T, F> {
            (self.1)(&number.to_string())
                .map_err(|error| F::custom(format_args!("{error} (in quotes)")))
        }

        fn visit_str<F: de::Error>(self, text: &str) -> Result<T, F> {
            (self.1)(text).map_err(F::custom)
        }
    }

    deserializer.deserialize_any(Quantity(expected, read))
}

/// Reads a time as a person writes it: `500ms`, `30s`, `5min` or `1h`. Only 0 needs no unit.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && text.bytes().all(|digit| digit == b'0') {
        return Ok(Duration::ZERO);
    }
    if is_number {
        return Err(format!(
            "{text} of what? write {text}ms, {text}s, {text}min or {text}h"
        ));
    }
    humantime::parse_duration(text)
        .map_err(|error| format!("{text:?} is not a time such as 500ms, 30s or 5min: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_this_module_is_right() {
        let lines = include_str!("manifest.rs").lines();
        let lines = lines.skip_while(|line| *line != "//! ```toml").skip(1);
        let lines = lines.take_while(|line| *line != "//! ```");
        let text: Vec<&str> = lines.map(|line| line[3..].trim_start()).collect();
        let manifest = Manifest::parse(&text.join("\n")).unwrap();
        let grants: Vec<String> = manifest.grants.iter().map(Grant::to_string).collect();
        assert_eq!(
            grants,
            [
                "sem:/gate,undo",
                "shm:/render.*,create,max=4,max-size=16MiB",
                "mq:/jobs::/in,recv"
            ]
        );
        let mut quota = Quota::default();
        quota.handles = 64;
        quota.wait = Some(Duration::from_secs(30));
        assert_eq!(manifest.quota, quota);
    }

    #[test]
    fn every_key_is_read() {
        let manifest = Manifest::parse(
            r#"
            quota = { handles = 1, created = 2, shm-bytes = "3B", mq-bytes = "4KiB", message-size = "5B", pollables = 6, mappings = 8, mapping-bytes = "9KiB", memory = "10KiB", wait = "7ms" }
            sem = [{ name = "/s", access = "use", lifecycle = "open", map = true, undo = false }]
            shm = [{ name = "/m", guest = "/g", access = "ro", lifecycle = "own", keep = true, max = 2, max-size = "4096B" }]
            mq = [{ name = "/a,b::c", max-msgs = 3, max-msg-size = "1KiB" }]
            "#,
        )
        .unwrap();
        let grants: Vec<&Grant> = manifest.grants.iter().collect();
        let [sem, shm, mq] = grants[..] else {
            panic!("{manifest:?}");
        };
        assert_eq!(sem.to_string(), "sem:/s,map");
        assert_eq!(
            shm.to_string(),
            "shm:/m::/g,ro,own,max=2,max-size=4KiB,keep"
        );
        assert_eq!(mq.pattern().to_string(), "/a,b::c");
        assert_eq!(
            (mq.max_messages(), mq.max_message_size()),
            (Some(3), Some(1024))
        );
        let limits = Resource::ALL.iter();
        let limits: Vec<u64> = limits
            .map(|resource| resource.limit(&manifest.quota))
            .collect();
        assert_eq!(limits, [1, 2, 3, 4096, 5, 6, 8, 9 << 10, 10 << 10]);
        assert_eq!(manifest.quota.wait, Some(Duration::from_millis(7)));
        let again = Manifest::parse(&manifest.to_text()).unwrap();
        assert_eq!(again.quota, manifest.quota);
        assert!(again.grants.iter().eq(manifest.grants.iter()));
    }

    #[test]
    fn only_0_needs_no_unit() {
        let manifest = Manifest::parse("[quota]\nmemory = 0\nshm-bytes = \"0\"\nwait = 0").unwrap();
        let Quota {
            memory,
            shm_bytes,
            wait,
            ..
        } = manifest.quota;
        assert_eq!((memory, shm_bytes, wait), (0, 0, Some(Duration::ZERO)));
    }

    #[test]
    fn an_empty_file_grants_nothing() {
        let manifest = Manifest::parse("").unwrap();
        assert!(manifest.grants.is_empty());
        assert_eq!(manifest.quota, Quota::default());
    }

    #[test]
    fn errors_say_where_and_why() {
        for (text, parts) in [
            (
                "[[mq]]\nname = \"/a\"\nacess = \"recv\"",
                &["line 3", "unknown field `acess`"][..],
            ),
            (
                "[[queue]]\nname = \"/a\"",
                &["line 1", "unknown field `queue`"],
            ),
            ("[quota]\nhandle = 3", &["line 2", "unknown field `handle`"]),
            ("\n[[mq]]\nacess = 1\n", &["line 3"]),
            ("[[mq]]\n", &["line 1", "missing field `name`"]),
            (
                "[[mq]]\nname = \"/a\"\n[[mq]]\nname = \"jobs\"\n",
                &["line 3, [[mq]] \"jobs\"", "must start with a slash"],
            ),
            (
                "[[mq]]\nname = \"/a\"\n\n[[mq]]\nname = \"/a\"\n",
                &["line 4", "granted twice"],
            ),
            (
                "[[sem]]\nname = \"/a\"\nmax-size = \"1B\"",
                &["line 1", "\"max-size\" is not an option of sem"],
            ),
            (
                "[[sem]]\nname = \"/a\"\naccess = \"recv\"",
                &["\"recv\" is not an option of sem"],
            ),
            (
                "[[sem]]\nname = \"/a\"\naccess = \"read\"",
                &["access cannot be \"read\""],
            ),
            (
                "[[sem]]\nname = \"/a\"\nlifecycle = \"forever\"",
                &["it is open, create or own"],
            ),
            (
                "[[shm]]\nname = \"/a\"\nmax-size = -1",
                &["line 3", "\"-1\" is not a size"],
            ),
            (
                "[[shm]]\nname = \"/a\"\nmax-size = 4096",
                &["line 3", "4096 of what? write 4096B, 4096KiB"],
            ),
            (
                "[quota]\nmemory = \"64\"",
                &["line 2", "64 of what? write 64B, 64KiB"],
            ),
            (
                "[quota]\nmemory = true",
                &["line 2", "expected a size such as \"64KiB\""],
            ),
            (
                "[[shm]]\nname = \"/a\"\nmax-size = \"1MB\"",
                &["line 3", "64B, 64KiB, 16MiB or 2GiB"],
            ),
            (
                "[[mq]]\nname = \"/a\"\nmax-msg-size = \"4GiB\"",
                &["line 1", "less than 4GiB"],
            ),
            (
                "[quota]\nwait = 30",
                &[
                    "line 2",
                    "30 of what? write 30ms, 30s, 30min or 30h (in quotes)",
                ],
            ),
            (
                "[quota]\nwait = \"30\"",
                &["line 2", "30 of what? write 30ms, 30s, 30min or 30h"],
            ),
            (
                "[quota]\nwait = \"30x\"",
                &["line 2", "is not a time such as"],
            ),
            ("[[mq]]\nname = ", &["line 2"]),
        ] {
            let error = format!("{:#}", Manifest::parse(text).unwrap_err());
            for part in parts {
                assert!(error.contains(part), "{text:?}: {error}");
            }
        }
    }

    #[test]
    fn times_have_a_unit() {
        for (text, milliseconds) in [
            ("0", 0),
            ("0s", 0),
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(milliseconds))
            );
        }
        for text in ["", "30", "s", "ms", "-1s", "18446744073709551615h"] {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
    }
}
