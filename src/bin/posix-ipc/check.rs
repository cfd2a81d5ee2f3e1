//! `posix-ipc check`: what a guest would need, and what it would get.

use crate::options::{GrantOptions, Policy, QuotaOptions};
use crate::output::{self, Format};
use crate::runtime::Program;
use crate::{cache, engine, guest};
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use wasmtime::Engine;
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Component, Linker};
use wasmtime_posix_ipc::grant::{Grant, Kind, Lifecycle, Right};

/// Show what a guest imports, and what the grants would allow it
///
/// This compiles the guest and does not run it. It fails if `run` could not run the
/// guest: if the guest imports what this host does not have, or does not export
/// wasi:cli/run. Of a script it shows the grants: only a run tells which names a script
/// uses, as `posix-ipc run --learn` does.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  posix-ipc check worker.wasm
  posix-ipc check --mq /jobs,recv worker.wasm
  posix-ipc check --manifest worker.toml worker.py
  posix-ipc check --format json worker.wasm | jq -r '.missing[]'

JSON is an object with these members:
  guest      the file that was named
  language   of a script, or null
  imports    of a component: the interfaces, each with its functions; of a script null
  private    whether the guest has a namespace of its own, where every name works
  grants     each with kind, name (a star at the end is for all that starts so),
             guest_name or null, rights, lifecycle, and text: the grant as a flag has it
  missing    the kinds that a component imports and has no grant for
  problem    why `run` could not run the guest, or null

Later versions may add members, and remove none.")]
pub struct Args {
    #[command(flatten)]
    grants: GrantOptions,

    #[command(flatten)]
    limits: QuotaOptions,

    /// How to print what was found
    #[arg(long, value_enum, default_value_t, help_heading = None)]
    format: Format,

    /// The guest: a component (.wasm, .wat) or a script (.py, .js, .mjs)
    #[arg(help_heading = None)]
    guest: PathBuf,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let policy = self.grants.read(&self.limits, false)?;
        let (engine, _) = engine::new(policy.maps())?;
        let program = Program::find(&self.guest)?;
        let component = cache::load(&engine, program.component())?;
        let linker = guest::linker(&engine, &component)?;
        // What a runtime imports says nothing of its script.
        let is_script = program.script().is_some();
        let imports = (!is_script).then(|| imports(&engine, &component));
        let report = Report {
            guest: self.guest.display().to_string(),
            language: program.script().map(|script| script.language()),
            private: policy.private,
            grants: policy.grants.iter().map(Granted::new).collect(),
            missing: missing(&policy, imports.as_ref()),
            imports,
            problem: problem(&engine, &component, &linker),
        };
        let text = match self.format {
            Format::Text => output::visible(&report.in_words()),
            Format::Json => output::json(&report)?,
        };
        output::write(&text)?;
        Ok(match report.problem {
            Some(_) => ExitCode::FAILURE,
            None => ExitCode::SUCCESS,
        })
    }
}

/// What was found of a guest.
#[derive(Serialize)]
struct Report {
    guest: String,
    language: Option<&'static str>,
    imports: Option<Imports>,
    private: bool,
    grants: Vec<Granted>,
    missing: Vec<&'static str>,
    problem: Option<String>,
}

/// The interfaces that a guest imports, with the functions that it uses.
type Imports = BTreeMap<String, Vec<String>>;

#[derive(Serialize)]
struct Granted {
    kind: &'static str,
    name: String,
    guest_name: Option<String>,
    rights: Vec<&'static str>,
    lifecycle: String,
    text: String,
    /// The life cycle in words.
    #[serde(skip)]
    whose: &'static str,
}

impl Granted {
    fn new(grant: &Grant) -> Self {
        let rights = Right::ALL.iter();
        let rights = rights.filter(|&&right| grant.allows(right, true));
        Self {
            kind: grant.kind().flag(),
            name: grant.pattern().to_string(),
            guest_name: grant.guest_name().map(|name| name.as_str().to_owned()),
            rights: rights.map(|right| right.word()).collect(),
            lifecycle: grant.lifecycle().to_string(),
            text: grant.to_string(),
            whose: match grant.lifecycle() {
                Lifecycle::Open => "if it exists",
                Lifecycle::Create => "unlinking what the guest created",
                _ => "unlinking what anybody created",
            },
        }
    }

    fn in_words(&self) -> String {
        let guest = self.guest_name.as_ref();
        let guest = guest.map_or(String::new(), |name| format!(" as {name}"));
        let Self {
            kind, name, whose, ..
        } = self;
        format!("{kind} {name}{guest}: {} ({whose})", self.rights.join(", "))
    }
}

impl Report {
    fn in_words(&self) -> String {
        let mut lines = vec![match self.language {
            Some(language) => format!("{} is a script in {language}", self.guest),
            None => format!("{} imports", self.guest),
        }];
        for (interface, functions) in self.imports.iter().flatten() {
            // The guest has chosen these names, line breaks among them.
            lines.push(format!("  {}", interface.escape_debug()));
            if interface.starts_with("posix:ipc/") {
                let functions = functions.iter().map(|name| name.escape_debug());
                lines.extend(functions.map(|function| format!("      {function}")));
            }
        }
        lines.push("grants".into());
        if self.private {
            lines.push("  every name, in a namespace of the guest's own".into());
        }
        let grants = self.grants.iter();
        lines.extend(grants.map(|grant| format!("  {}", grant.in_words())));
        lines.extend(self.missing.iter().map(|kind| {
            format!("  no {kind}, which the guest imports: every use will be denied; see --{kind}")
        }));
        if self.language.is_some() && self.grants.is_empty() && !self.private {
            let advice = "`posix-ipc run --learn` says what the script needs";
            lines.push(format!("  none: every use will be denied; {advice}"));
        }
        lines.push(match &self.problem {
            Some(problem) => format!("cannot be run: {problem}\n"),
            None => "can be run\n".into(),
        });
        lines.join("\n")
    }
}

/// The kinds that a guest imports and has no grant for.
fn missing(policy: &Policy, imports: Option<&Imports>) -> Vec<&'static str> {
    let Some(imports) = imports.filter(|_| !policy.private) else {
        return Vec::new();
    };
    let kinds = Kind::ALL.iter().copied();
    let used = kinds.filter(|kind| {
        imports
            .keys()
            .any(|name| name.starts_with(interface(*kind)))
    });
    used.filter(|kind| !policy.grants.iter().any(|grant| grant.kind() == *kind))
        .map(Kind::flag)
        .collect()
}

fn interface(kind: Kind) -> &'static str {
    match kind {
        Kind::Semaphore => "posix:ipc/semaphore",
        Kind::SharedMemory => "posix:ipc/shared-memory",
        Kind::MessageQueue => "posix:ipc/message-queue",
        other => unreachable!("{other} is new"),
    }
}

fn imports(engine: &Engine, component: &Component) -> Imports {
    let ty = component.component_type();
    let mut imports = BTreeMap::new();
    for (name, item) in ty.imports(engine) {
        let functions = match item.ty {
            ComponentItem::ComponentInstance(instance) => functions(engine, &instance),
            _ => Vec::new(),
        };
        imports.insert(name.to_owned(), functions);
    }
    imports
}

fn functions(engine: &Engine, instance: &ComponentInstance) -> Vec<String> {
    let is_function = |item: &ComponentItem| matches!(item, ComponentItem::ComponentFunc(_));
    instance
        .exports(engine)
        .filter(|(_, item)| is_function(&item.ty))
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn problem(
    engine: &Engine,
    component: &Component,
    linker: &Linker<guest::Guest>,
) -> Option<String> {
    if let Err(error) = linker.instantiate_pre(component) {
        return Some(format!("{error:#}").replace('\n', "\\n"));
    }
    let ty = component.component_type();
    let runs = ty
        .exports(engine)
        .any(|(name, _)| name.starts_with("wasi:cli/run@0.2"));
    (!runs).then(|| "it does not export wasi:cli/run, so it is a library and not a command".into())
}
