//! `posix-ipc ls`: what semaphores, shared memory and message queues exist.

use crate::holders::{Holder, Holders};
use crate::ledger::LedgerOptions;
use crate::output;
use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::UNIX_EPOCH;
use wasmtime_posix_ipc::grant::Kind;
use wasmtime_posix_ipc::objects::{self, Content, Object};

const EXAMPLES: &str = "\
Examples:
  posix-ipc ls                       everything
  posix-ipc ls mq                    the message queues
  posix-ipc ls '/render.*'           all kinds, names that start with /render.
  posix-ipc ls sem:/gate shm         one semaphore, and all shared memory
  posix-ipc ls --format json | jq -r '.[] | select(.kind == \"mq\") | .name'

JSON is an array of objects, sorted by kind and name, with these members:
  kind                \"sem\", \"shm\" or \"mq\"
  name                with the leading slash
  mode                permission bits in octal, such as \"0600\"
  owner, group        their numbers
  modified            seconds since 1970
  device, inode       identify the object, also if its name changes hands
  value               sem: the value
  size                shm: the size in bytes
  messages, max_messages, max_message_size
                      mq: how many wait, how many fit, and the bytes of one
  unknown             why the members for its kind are missing
  holders             the guests that created it or have it open: guest, process,
                      alive, creator. Only guests of this user's hosts are known
Later versions may add members, and remove none.

The exit code is 1 if a kind could not be listed. The others are listed all the same.";

/// List the semaphores, shared memory and message queues of this machine
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Ls {
    /// What to list: a kind (sem, shm, mq), a name (/jobs), or both (mq:/jobs). A star
    /// in a name stands for any characters. Without this, everything is listed
    #[arg(value_name = "KIND|NAME|KIND:NAME")]
    filters: Vec<Filter>,

    /// How to print the list
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    #[command(flatten)]
    ledger: LedgerOptions,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
}

impl Ls {
    /// Prints what there is.
    pub fn run(self) -> Result<ExitCode> {
        let mut complete = true;
        let mut listed = Vec::new();
        for kind in [Kind::MessageQueue, Kind::Semaphore, Kind::SharedMemory] {
            if !self.wants(kind) {
                continue;
            }
            match objects::list(kind) {
                Ok(objects) => listed.extend(objects.into_iter().map(|object| (kind, object))),
                Err(error) => {
                    complete = false;
                    eprintln!("posix-ipc: {error}");
                }
            }
        }
        listed.retain(|(kind, object)| self.selects(*kind, &object.name));

        let text = match self.format {
            Format::Table => table(&listed, &Users::read(), &Holders::read(&self.ledger)),
            Format::Json => json(&listed, &Holders::read(&self.ledger))?,
        };
        output::write(&text)?;
        Ok(if complete {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    /// Whether objects of a kind can be selected at all.
    fn wants(&self, kind: Kind) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| filter.wants(kind))
    }

    fn selects(&self, kind: Kind, name: &str) -> bool {
        let selects = |filter: &Filter| filter.wants(kind) && filter.matches(name);
        self.filters.is_empty() || self.filters.iter().any(selects)
    }
}

/// Selects objects: `mq`, `/jobs`, `mq:/jobs`, `/render.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Filter {
    kind: Option<Kind>,
    /// With stars.
    name: Option<String>,
}

impl Filter {
    fn wants(&self, kind: Kind) -> bool {
        self.kind.is_none_or(|own| own == kind)
    }

    fn matches(&self, name: &str) -> bool {
        self.name.as_ref().is_none_or(|pattern| glob(pattern, name))
    }
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = match text.split_once(':') {
            _ if text.starts_with('/') => (None, Some(text)),
            Some((kind, name)) => (Some(kind), Some(name)),
            None => (Some(text), None),
        };
        let kind = kind.map(str::parse).transpose();
        let named = name.is_none_or(|name| name.starts_with('/'));
        match kind {
            Ok(kind) if named => Ok(Self { kind, name: name.map(Into::into) }),
            _ => Err("write a kind (sem, shm or mq), a name that starts with a slash (/jobs), or both (mq:/jobs)".into()),
        }
    }
}

/// Whether a text matches a pattern in which every star stands for any characters.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    // The parts between stars: each is taken where it is met first. The last one
    // has to be at the end.
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        match text.split_once(part) {
            Some((_, behind)) => text = behind,
            None => return false,
        }
    }
    text.ends_with(end)
}

/// A table with a row for each object, or nothing if there is none.
fn table(objects: &[(Kind, Object)], users: &Users, holders: &Holders) -> String {
    const HEAD: [&str; 6] = ["KIND", "NAME", "MODE", "OWNER", "CONTENT", "HELD BY"];
    if objects.is_empty() {
        return String::new();
    }
    let rows: Vec<[String; 6]> = objects
        .iter()
        .map(|(kind, object)| {
            [
                kind.to_string(),
                // Anybody may have chosen it: it must not control the terminal.
                object.name.escape_debug().to_string(),
                mode(object),
                users.name(object.owner),
                content(&object.content),
                held_by(holders.of(object)),
            ]
        })
        .collect();
    let rows = std::iter::once(HEAD.map(String::from)).chain(rows);
    let rows: Vec<[String; 6]> = rows.collect();
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths);
        let line: String = cells
            .map(|(cell, width)| format!("{cell:width$}  "))
            .collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn held_by(holders: &[Holder]) -> String {
    let holders: Vec<String> = holders.iter().map(Holder::to_string).collect();
    holders.join(", ")
}

fn mode(object: &Object) -> String {
    format!("{:04o}", object.mode)
}

fn content(content: &Content) -> String {
    match content {
        Content::Semaphore { value } => format!("value {value}"),
        Content::SharedMemory { size } => format!("{} bytes", grouped(*size)),
        Content::MessageQueue {
            max_messages,
            max_message_size,
            messages,
        } => {
            let size = grouped((*max_message_size).into());
            format!("{messages} of {max_messages} messages, each up to {size} bytes")
        }
        Content::Unknown { reason } => format!("? ({reason})"),
        content => format!("{content:?}"),
    }
}

/// A number with its digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        let _ = write!(text, "{digit}");
    }
    text
}

/// The names of the users of this machine.
struct Users(HashMap<u32, String>);

impl Users {
    fn read() -> Self {
        Self::parse(&std::fs::read_to_string("/etc/passwd").unwrap_or_default())
    }

    /// Reads lines of `NAME:PASSWORD:ID:...`.
    fn parse(passwd: &str) -> Self {
        let user = |line: &str| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            Some((fields.nth(1)?.parse().ok()?, name))
        };
        Self(passwd.lines().filter_map(user).collect())
    }

    /// A user's name; the number if there is none.
    fn name(&self, id: u32) -> String {
        self.0.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }
}

/// One object as JSON. What this says is documented in the command's help.
#[derive(Debug, Default, Serialize)]
struct Row<'a> {
    kind: &'static str,
    name: &'a str,
    mode: String,
    owner: u32,
    group: u32,
    modified: u64,
    device: u64,
    inode: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_messages: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_message_size: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<&'a str>,
    holders: &'a [Holder],
}

impl<'a> Row<'a> {
    fn new(kind: Kind, object: &'a Object, holders: &'a Holders) -> Self {
        let since_1970 = object.modified.duration_since(UNIX_EPOCH);
        let mut row = Self {
            kind: kind.flag(),
            name: &object.name,
            mode: mode(object),
            owner: object.owner,
            group: object.group,
            modified: since_1970.unwrap_or_default().as_secs(),
            device: object.device,
            inode: object.inode,
            holders: holders.of(object),
            ..Self::default()
        };
        match &object.content {
            Content::Semaphore { value } => row.value = Some(*value),
            Content::SharedMemory { size } => row.size = Some(*size),
            Content::MessageQueue {
                max_messages,
                max_message_size,
                messages,
            } => {
                row.messages = Some(*messages);
                row.max_messages = Some(*max_messages);
                row.max_message_size = Some(*max_message_size);
            }
            Content::Unknown { reason } => row.unknown = Some(reason),
            _ => {}
        }
        row
    }
}

fn json(objects: &[(Kind, Object)], holders: &Holders) -> Result<String> {
    let rows = objects
        .iter()
        .map(|(kind, object)| Row::new(*kind, object, holders));
    let rows: Vec<Row<'_>> = rows.collect();
    let text = serde_json::to_string_pretty(&rows)? + "\n";
    Ok(output::escape_json(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_say_what_they_are() {
        let filter = |kind, name: Option<&str>| Filter {
            kind,
            name: name.map(Into::into),
        };
        for (text, expected) in [
            ("mq", filter(Some(Kind::MessageQueue), None)),
            ("/jobs", filter(None, Some("/jobs"))),
            ("/a:b", filter(None, Some("/a:b"))),
            ("sem:/gate", filter(Some(Kind::Semaphore), Some("/gate"))),
            (
                "shm:/render.*",
                filter(Some(Kind::SharedMemory), Some("/render.*")),
            ),
        ] {
            assert_eq!(text.parse(), Ok(expected));
        }
        for text in [
            "",
            "jobs",
            "queue",
            "mq:",
            "mq:jobs",
            "queue:/jobs",
            ":/jobs",
            "*",
        ] {
            assert!(text.parse::<Filter>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text) in [
            ("/a", "/a"),
            ("/*", "/a"),
            ("/a*", "/a"),
            ("/a*", "/abc"),
            ("/*c", "/abc"),
            ("/a*c", "/abcbc"),
            ("/a*b*c", "/abc"),
            ("/*b*b*", "/abab"),
            ("/**", "/a"),
        ] {
            assert!(glob(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("/a", "/ab"),
            ("/a*", "/ba"),
            ("/*c", "/abcd"),
            ("/a*a", "/a"),
            ("/ab*b", "/ab"),
            ("/a*b*b", "/ab"),
        ] {
            assert!(!glob(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1 000"),
            (1234567, "1 234 567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn users_have_names() {
        let users = Users::parse("root:x:0:0:root:/root:/bin/sh\n\nbroken\nme:x:1000:1000::/:/\n");
        assert_eq!(users.name(0), "root");
        assert_eq!(users.name(1000), "me");
        assert_eq!(users.name(7), "7");
    }
}
