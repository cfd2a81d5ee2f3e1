//! The file that says what to run.

use crate::manifest::{Manifest, QuotaTable, Table, Wait};
use anyhow::{Context, Result, anyhow, bail};
use nix::unistd::{AccessFlags, access};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;
use wasmtime_posix_ipc::grant::{Kind, Name};

/// How long programs have to end before they are killed, if the file says nothing.
const GRACE: Duration = Duration::from_secs(5);

/// How often a program that fails is started again, if the file says nothing.
const RESTARTS: u32 = 5;

/// More programs than this are a mistake.
const MOST: u32 = 1000;

/// What to run.
pub struct Plan {
    /// Where the programs start.
    pub folder: PathBuf,
    pub isolate: bool,
    pub grace: Duration,
    /// In the order of the file, guests first.
    pub programs: Vec<Program>,
}

pub struct Program {
    pub name: String,
    pub count: u32,
    pub command: Command,
    pub variables: BTreeMap<String, String>,
    /// The programs, by their place, that have to end with 0 first.
    pub after: Vec<usize>,
    /// The objects that have to exist first.
    pub objects: Vec<(Kind, Name)>,
    pub restarts: u32,
}

pub enum Command {
    Native(Vec<String>),
    /// What `posix-ipc run` gets after a manifest, and what that says.
    Guest {
        options: Vec<String>,
        guest: PathBuf,
        arguments: Vec<String>,
        manifest: Box<Manifest>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    isolate: bool,
    grace: Option<Wait>,
    #[serde(default)]
    guest: Vec<Spanned<GuestTable>>,
    #[serde(default)]
    process: Vec<Spanned<ProcessTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct GuestTable {
    name: Spanned<String>,
    guest: Spanned<PathBuf>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    dirs: Vec<String>,
    #[serde(default)]
    sem: Vec<Spanned<Table>>,
    #[serde(default)]
    shm: Vec<Spanned<Table>>,
    #[serde(default)]
    mq: Vec<Spanned<Table>>,
    quota: Option<QuotaTable>,
    manifest: Option<Spanned<PathBuf>>,
    timeout: Option<Wait>,
    count: Option<Spanned<u32>>,
    after: Option<Spanned<Many>>,
    after_object: Option<Spanned<Many>>,
    restart: Option<Restart>,
    max_restarts: Option<Spanned<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ProcessTable {
    name: Spanned<String>,
    command: Spanned<Vec<String>>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    count: Option<Spanned<u32>>,
    after: Option<Spanned<Many>>,
    after_object: Option<Spanned<Many>>,
    restart: Option<Restart>,
    max_restarts: Option<Spanned<u32>>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Restart {
    Never,
    OnFailure,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
enum Many {
    One(String),
    List(Vec<String>),
}

impl Many {
    fn texts(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::List(texts) => texts,
        }
    }
}

/// What guests and native programs have in common.
struct Common {
    name: Spanned<String>,
    command: Command,
    variables: BTreeMap<String, String>,
    count: Option<Spanned<u32>>,
    after: Option<Spanned<Many>>,
    after_object: Option<Spanned<Many>>,
    restart: Option<Restart>,
    max_restarts: Option<Spanned<u32>>,
}

impl Plan {
    /// Reads a file. Errors say in which line they are.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!(
                "{} cannot be read; `posix-ipc up --help` shows an example",
                path.display()
            )
        })?;
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let folder = folder.canonicalize()?;
        Self::parse(&text, folder).with_context(|| format!("{} is wrong", path.display()))
    }

    fn parse(text: &str, folder: PathBuf) -> Result<Self> {
        let file: File = toml::from_str(text)?;
        let mut all = Vec::new();
        for table in file.guest {
            all.push(guest(text, &folder, table.into_inner())?);
        }
        for table in file.process {
            all.push(process(text, &folder, table.into_inner())?);
        }
        if all.is_empty() {
            bail!("it has no [[guest]] and no [[process]], so there is nothing to run");
        }
        let mut places = HashMap::new();
        for (place, common) in all.iter().enumerate() {
            let name = common.name.get_ref();
            let line = line(text, &common.name);
            if name.is_empty() || name.chars().any(char::is_control) {
                bail!("line {line}: {name:?} is no name; it needs characters that can be shown");
            }
            if places.insert(name.clone(), place).is_some() {
                bail!("line {line}: the name {name:?} is given twice");
            }
        }
        let lines: Vec<usize> = all.iter().map(|common| line(text, &common.name)).collect();
        let programs: Result<Vec<Program>> = all
            .into_iter()
            .map(|common| program(text, common, &places))
            .collect();
        let programs = programs?;
        let started: u32 = programs.iter().map(|program| program.count).sum();
        if started > MOST {
            bail!("it starts {started} programs; at most {MOST} are possible");
        }
        if let Some(cycle) = cycle(&programs) {
            let names: Vec<&str> = cycle.iter().map(|at| &*programs[*at].name).collect();
            bail!(
                "line {}: each of these waits for the end of the next, so none can start: {} -> {}",
                lines[cycle[0]],
                names.join(" -> "),
                names[0]
            );
        }
        Ok(Self {
            folder,
            isolate: file.isolate,
            grace: file.grace.map_or(GRACE, |Wait(grace)| grace),
            programs,
        })
    }
}

fn line<T>(text: &str, at: &Spanned<T>) -> usize {
    text[..at.span().start].matches('\n').count() + 1
}

fn program(text: &str, common: Common, places: &HashMap<String, usize>) -> Result<Program> {
    let mut after = Vec::new();
    if let Some(names) = &common.after {
        for name in names.get_ref().texts() {
            let place = places.get(name).ok_or_else(|| {
                let mut known: Vec<&str> = places.keys().map(String::as_str).collect();
                known.sort_unstable();
                anyhow!(
                    "line {}: after = {name:?} names no program of this file; it has {}",
                    line(text, names),
                    known.join(", ")
                )
            })?;
            after.push(*place);
        }
    }
    let mut objects = Vec::new();
    if let Some(wanted) = &common.after_object {
        for object in wanted.get_ref().texts() {
            let read = || {
                let (kind, name) = object
                    .split_once(':')
                    .context("write a kind and a name, as in \"mq:/jobs\"")?;
                let kind: Kind = kind.parse()?;
                Ok((kind, Name::new(kind, name)?))
            };
            let read: Result<_> = read();
            let at = || format!("line {}: after-object = {object:?}", line(text, wanted));
            objects.push(read.with_context(at)?);
        }
    }
    let count = common.count.as_ref().map_or(1, |count| *count.get_ref());
    if let Some(at) = &common.count
        && !(1..=MOST).contains(&count)
    {
        bail!("line {}: count has to be 1 to {MOST}", line(text, at));
    }
    let restarts = match (common.restart, &common.max_restarts) {
        (Some(Restart::OnFailure), most) => most.as_ref().map_or(RESTARTS, |most| *most.get_ref()),
        (_, None) => 0,
        (_, Some(at)) => bail!(
            "line {}: max-restarts is for restart = \"on-failure\"",
            line(text, at)
        ),
    };
    for (name, value) in &common.variables {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            let line = line(text, &common.name);
            bail!("the program of line {line}: env cannot have {name:?} = {value:?}");
        }
    }
    Ok(Program {
        name: common.name.into_inner(),
        count,
        command: common.command,
        variables: common.variables,
        after,
        objects,
        restarts,
    })
}

fn guest(text: &str, folder: &Path, table: GuestTable) -> Result<Common> {
    let path = folder.join(table.guest.get_ref());
    if !path.is_file() {
        bail!(
            "line {}: there is no file {}",
            line(text, &table.guest),
            path.display()
        );
    }
    let tables = [table.sem, table.shm, table.mq];
    let manifest = match table.manifest {
        None => Manifest::new(text, tables, table.quota.unwrap_or_default())?,
        Some(manifest) => {
            let at = line(text, &manifest);
            if table.quota.is_some() || tables.iter().any(|tables| !tables.is_empty()) {
                bail!(
                    "line {at}: the guest has a manifest and grants or a quota beside it; put \
                     all into the one or all into the other"
                );
            }
            Manifest::read(&folder.join(manifest.get_ref()))
                .with_context(|| format!("line {at}"))?
        }
    };
    let mut options = Vec::new();
    if let Some(Wait(limit)) = table.timeout {
        options.push(format!("--timeout={}", humantime::format_duration(limit)));
    }
    options.extend(table.dirs.iter().map(|dir| format!("--dir={dir}")));
    let variables = table.env.iter();
    options.extend(variables.map(|(name, value)| format!("--env={name}={value}")));
    Ok(Common {
        name: table.name,
        command: Command::Guest {
            options,
            guest: path,
            arguments: table.args,
            manifest: Box::new(manifest),
        },
        variables: BTreeMap::new(),
        count: table.count,
        after: table.after,
        after_object: table.after_object,
        restart: table.restart,
        max_restarts: table.max_restarts,
    })
}

fn process(text: &str, folder: &Path, table: ProcessTable) -> Result<Common> {
    let at = line(text, &table.command);
    let mut command = table.command.into_inner();
    let Some(program) = command.first_mut() else {
        bail!("line {at}: the command is empty; write [\"PROGRAM\", \"ARGUMENT\", ...]");
    };
    let found = match program.contains('/') {
        true => {
            let path = folder.join(&*program);
            let found = is_program(&path);
            *program = path.to_string_lossy().into_owned();
            found
        }
        false => {
            let folders = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&folders).any(|folder| is_program(&folder.join(&*program)))
        }
    };
    if !found {
        bail!("line {at}: there is no program {program} that this user may run");
    }
    Ok(Common {
        name: table.name,
        command: Command::Native(command),
        variables: table.env,
        count: table.count,
        after: table.after,
        after_object: table.after_object,
        restart: table.restart,
        max_restarts: table.max_restarts,
    })
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
}

/// Programs of which each waits for the next, and the last for the first.
fn cycle(programs: &[Program]) -> Option<Vec<usize>> {
    // Those that can start when all can that they wait for. What is left waits for ever.
    let mut can_start = vec![false; programs.len()];
    let next = |can_start: &[bool], at: usize| {
        let mut after = programs[at].after.iter().copied();
        after.find(|before| !can_start[*before])
    };
    for _ in programs {
        for at in 0..programs.len() {
            can_start[at] = next(&can_start, at).is_none();
        }
    }
    let mut path = vec![can_start.iter().position(|can| !can)?];
    loop {
        let at = next(&can_start, *path.last()?)?;
        if let Some(start) = path.iter().position(|seen| *seen == at) {
            return Some(path.split_off(start));
        }
        path.push(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Plan> {
        Plan::parse(text, std::env::current_dir().unwrap())
    }

    #[test]
    fn errors_say_where_and_why() {
        let a = "[[process]]\nname = \"a\"\ncommand = [\"true\"]\n";
        let b = "[[process]]\nname = \"b\"\ncommand = [\"true\"]\n";
        let guest = "[[guest]]\nname = \"g\"\nguest = \"Cargo.toml\"\n";
        for (text, parts) in [
            ("", &["nothing to run"][..]),
            ("isolated = true", &["line 1", "unknown field `isolated`"]),
            (
                &format!("{a}afer = \"b\""),
                &["line 4", "unknown field `afer`"],
            ),
            (&format!("{a}after = 3"), &["line 4", "a text or a list"]),
            (&format!("{a}{a}"), &["line 5", "\"a\" is given twice"]),
            (
                &format!("{a}after = \"c\"\n{b}"),
                &["line 4", "it has a, b"],
            ),
            (
                &format!("{a}after = [\"b\"]\n{b}after = \"a\""),
                &["line 2", "a -> b -> a"],
            ),
            (&format!("{a}after = \"a\""), &["line 2", "a -> a"]),
            (
                &format!("{a}after-object = \"/jobs\""),
                &["line 4", "as in \"mq:/jobs\""],
            ),
            (
                &format!("{a}after-object = \"mq:jobs\""),
                &["line 4", "start with a slash"],
            ),
            (&format!("{a}count = 0"), &["line 4", "1 to 1000"]),
            (&format!("{a}count = 1000\n{b}"), &["starts 1001 programs"]),
            (
                &format!("{a}restart = \"always\""),
                &["line 4", "on-failure"],
            ),
            (&format!("{a}max-restarts = 3"), &["line 4", "on-failure"]),
            (
                &format!("{a}env = {{ \"A=B\" = \"\" }}"),
                &["line 2", "A=B"],
            ),
            (
                "[[process]]\nname = \"a\"\ncommand = []",
                &["line 3", "empty"],
            ),
            (
                "[[process]]\nname = \"a\"\ncommand = [\"./no/such\"]",
                &["line 3", "there is no program"],
            ),
            (
                "[[process]]\nname = \"a\"\ncommand = [\"no-such-program\"]",
                &["line 3", "there is no program no-such-program"],
            ),
            (
                "[[process]]\nname = \"\"\ncommand = [\"true\"]",
                &["line 2", "is no name"],
            ),
            (
                "[[guest]]\nname = \"g\"\nguest = \"no-such.wasm\"",
                &["line 3", "there is no file", "no-such.wasm"],
            ),
            (
                &format!("{guest}[[guest.mq]]\nname = \"/a\"\n[[guest.mq]]\nname = \"/a\""),
                &["line 6", "granted twice"],
            ),
            (
                &format!("{guest}[[guest.mq]]\nname = \"/a\"\nacess = \"recv\""),
                &["line 6", "unknown field `acess`"],
            ),
            (
                &format!("{guest}quota = {{ handle = 1 }}"),
                &["line 4", "`handle`"],
            ),
            (
                &format!("{guest}manifest = \"no.toml\""),
                &["line 4", "cannot be read"],
            ),
            (
                &format!("{guest}manifest = \"no.toml\"\nquota = {{ handles = 1 }}"),
                &["line 4", "all into the one"],
            ),
            (&format!("{guest}timeout = 3"), &["line 4", "3 of what?"]),
        ] {
            let error = format!(
                "{:#}",
                parse(text).err().unwrap_or_else(|| panic!("{text}"))
            );
            for part in parts {
                assert!(error.contains(part), "{text:?}: {part:?} is not in {error}");
            }
        }
    }

    #[test]
    fn what_waits_for_a_cycle_is_not_said_to_be_in_it() {
        let text = "process = [
            { name = \"a\", command = [\"true\"], after = \"b\" },
            { name = \"b\", command = [\"true\"], after = [\"d\", \"c\"] },
            { name = \"c\", command = [\"true\"], after = \"b\" },
            { name = \"d\", command = [\"true\"] }]";
        let error = format!("{:#}", parse(text).err().unwrap());
        assert!(
            error.contains("line 3") && error.ends_with(": b -> c -> b"),
            "{error}"
        );
    }
}
