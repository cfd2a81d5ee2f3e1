//! `posix-ipc check`: what a guest would need, and what it would get.

use crate::options::{GrantOptions, Policy, QuotaOptions};
use crate::runtime::Program;
use crate::{cache, engine, guest, output};
use anyhow::Result;
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
/// wasi:cli/run.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  posix-ipc check worker.wasm
  posix-ipc check --mq /jobs,recv worker.wasm")]
pub struct Args {
    #[command(flatten)]
    grants: GrantOptions,

    #[command(flatten)]
    limits: QuotaOptions,

    /// The guest: a component (.wasm, .wat) or a script (.py, .js, .mjs)
    #[arg(help_heading = None)]
    guest: PathBuf,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let policy = self.grants.read(&self.limits, false)?;
        let (engine, _) = engine::new(policy.maps())?;
        let component = cache::load(&engine, Program::find(&self.guest)?.component())?;
        let linker = guest::linker(&engine, &component)?;
        let imports = imports(&engine, &component);

        let mut lines = vec![format!("{} imports", self.guest.display())];
        for (interface, functions) in &imports {
            // The guest has chosen these names, line breaks among them.
            lines.push(format!("  {}", interface.escape_debug()));
            if interface.starts_with("posix:ipc/") {
                let functions = functions.iter().map(|name| name.escape_debug());
                lines.extend(functions.map(|function| format!("      {function}")));
            }
        }
        lines.push("grants".into());
        lines.extend(grants_in_words(&policy, &imports));

        let problem = problem(&engine, &component, &linker);
        lines.push(match &problem {
            Some(problem) => format!("cannot be run: {problem}\n"),
            None => "can be run\n".into(),
        });
        output::write(&output::visible(&lines.join("\n")))?;
        Ok(if problem.is_some() {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}

fn grants_in_words(policy: &Policy, imports: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    if policy.private {
        return vec!["  every name, in a namespace of the guest's own".into()];
    }
    let grants = policy.grants.iter();
    let mut lines: Vec<_> = grants
        .map(|grant| format!("  {}", in_words(grant)))
        .collect();
    for &kind in Kind::ALL {
        let used = imports.keys().any(|name| name.starts_with(interface(kind)));
        if used && !policy.grants.iter().any(|grant| grant.kind() == kind) {
            lines.push(format!(
                "  no {kind}, which the guest imports: every use will be denied; see --{kind}"
            ));
        }
    }
    lines
}

fn interface(kind: Kind) -> &'static str {
    match kind {
        Kind::Semaphore => "posix:ipc/semaphore",
        Kind::SharedMemory => "posix:ipc/shared-memory",
        Kind::MessageQueue => "posix:ipc/message-queue",
        other => unreachable!("{other} is new"),
    }
}

fn in_words(grant: &Grant) -> String {
    let rights = Right::ALL.iter();
    let rights = rights.filter(|&&right| grant.allows(right, true));
    let rights: Vec<_> = rights.map(|right| right.word()).collect();
    let whose = match grant.lifecycle() {
        Lifecycle::Open => "if it exists",
        Lifecycle::Create => "unlinking what the guest created",
        _ => "unlinking what anybody created",
    };
    let guest = grant
        .guest_name()
        .map(|name| format!(" as {name}"))
        .unwrap_or_default();
    let pattern = grant.pattern();
    format!(
        "{} {pattern}{guest}: {} ({whose})",
        grant.kind(),
        rights.join(", ")
    )
}

/// The interfaces that the guest imports, with the functions that it uses.
fn imports(engine: &Engine, component: &Component) -> BTreeMap<String, Vec<String>> {
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
