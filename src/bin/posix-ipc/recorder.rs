//! `--learn`: which grants a guest needed.

use crate::manifest;
use crate::options::Policy;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmtime_posix_ipc::audit::{AuditEvent, Decision, Operation};
use wasmtime_posix_ipc::grant::{Grant, Needs};

/// What a guest is seen to need, while it runs and after.
#[derive(Clone)]
pub struct GrantRecorder(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    /// What it used.
    used: Needs,
    /// That, and what it was denied.
    asked: Needs,
}

impl GrantRecorder {
    /// Of a guest with a namespace of its own, or within the grants that it has.
    pub fn new(policy: &Policy) -> Self {
        let needs = || match policy.private {
            true => Needs::default(),
            false => Needs::within(policy.grants.clone()),
        };
        let (used, asked) = (needs(), needs());
        Self(Arc::new(Mutex::new(Seen { used, asked })))
    }

    pub fn add(&self, event: &AuditEvent<'_>) {
        let Some(kind) = event.kind else { return };
        let denied = event.decision == Decision::Denied;
        // A guest can do without mappings, where the engine has none or the grant has not.
        if event.operation == Operation::Map && (denied || event.error.is_some()) {
            return;
        }
        let AuditEvent {
            name,
            prefix,
            rights,
            created_by_guest,
            ..
        } = event;
        let add = |needs: &mut Needs| needs.add(kind, name, *prefix, rights, *created_by_guest);
        let mut seen = self.seen();
        match event.decision {
            Decision::Allowed => add(&mut seen.used),
            Decision::Denied => {}
            // Of a limit it is told apart.
            _ => return,
        }
        add(&mut seen.asked);
    }

    /// The flags, as they may be pasted into a shell, and what is to be known of them.
    pub fn in_words(&self, guest: &str) -> String {
        let seen = self.seen();
        let used = seen.used.grants();
        let flags = flags(&used);
        let mut lines = match flags.is_empty() {
            true => format!("posix-ipc: {guest} needed no grants that a flag can give\n"),
            false => format!("posix-ipc: {guest} needed\n{flags}"),
        };
        lines += &beyond_flags(&used);
        let denied = seen.denied();
        if !denied.is_empty() {
            lines += &format!("posix-ipc: {guest} was denied what these would give it\n");
            lines += &self::flags(&denied);
            lines += &beyond_flags(&denied);
        }
        for (kind, name) in seen.asked.without_grant() {
            let name = name.escape_debug();
            lines += &format!("posix-ipc: and {kind}:{name}, which no grant can be for\n");
        }
        if !seen.asked.is_complete() {
            lines += "posix-ipc: and names beyond these, which are too many to learn\n";
        }
        lines
    }

    /// The same as a manifest. What the guest was denied is there as a comment: to grant it
    /// is for a person to decide.
    fn manifest(&self, guest: &str) -> String {
        let seen = self.seen();
        let guest = guest.escape_debug();
        let mut text = format!("# What {guest} needed in one run.\n");
        for grant in seen.used.grants() {
            text += &format!("\n{}", manifest::table(&grant));
        }
        let denied = seen.denied();
        if !denied.is_empty() {
            text += "\n# It was denied what the tables below would give it.\n";
            text += "# Where one of them is for a name from above, it replaces that table.\n";
        }
        for grant in denied {
            text += "\n";
            for line in manifest::table(&grant).lines() {
                text += &format!("# {line}\n");
            }
        }
        text
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// The grants that the guest would need besides or instead of those that it used.
    fn denied(&self) -> Vec<Grant> {
        let used = self.used.grants();
        let mut asked = self.asked.grants();
        asked.retain(|grant| !used.contains(grant));
        asked
    }
}

fn flags(grants: &[Grant]) -> String {
    let flags: Vec<String> = grants.iter().filter_map(Grant::to_flag).collect();
    match flags.is_empty() {
        true => String::new(),
        false => format!("    {}\n", flags.join(" \\\n    ")),
    }
}

fn beyond_flags(grants: &[Grant]) -> String {
    let grants = grants.iter().filter(|grant| grant.to_flag().is_none());
    grants
        .map(|grant| format!("posix-ipc: and in a manifest, which takes every name: {grant}\n"))
        .collect()
}

/// The file that the manifest goes to. If the guest never runs, there is none.
pub struct ManifestFile {
    file: File,
    path: PathBuf,
    is_written: bool,
}

impl ManifestFile {
    /// Makes it before the guest runs. What is there already may be what a person wrote.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create_new(path).with_context(|| {
            let path = path.display();
            format!("--learn-to {path}: cannot create it; name a file that does not exist")
        })?;
        Ok(Self {
            file,
            path: path.into(),
            is_written: false,
        })
    }

    pub fn write(mut self, recorder: &GrantRecorder, guest: &str) -> Result<()> {
        self.is_written = true;
        self.file
            .write_all(recorder.manifest(guest).as_bytes())
            .with_context(|| format!("--learn-to {}: cannot write it", self.path.display()))
    }
}

impl Drop for ManifestFile {
    fn drop(&mut self) {
        if !self.is_written {
            // Empty, it would be in the way of the next attempt.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
