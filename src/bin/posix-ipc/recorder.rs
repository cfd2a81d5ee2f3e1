//! `--learn`: which grants a guest needed.

use crate::options::Policy;
use std::sync::{Arc, Mutex, MutexGuard};
use wasmtime_posix_ipc::audit::{AuditEvent, Decision, Operation};
use wasmtime_posix_ipc::grant::Needs;

/// What a guest is seen to need, while it runs and after.
#[derive(Clone)]
pub struct GrantRecorder(Arc<Mutex<Needs>>);

impl GrantRecorder {
    /// Of a guest with a namespace of its own, or within the grants that it has.
    pub fn new(policy: &Policy) -> Self {
        if policy.private {
            return Self(Arc::default());
        }
        let needs = Needs::within(policy.grants.clone());
        Self(Arc::new(Mutex::new(needs)))
    }

    pub fn add(&self, event: &AuditEvent<'_>) {
        let Some(kind) = event.kind.filter(|_| event.decision == Decision::Allowed) else {
            return;
        };
        // A guest can do without mappings where the engine has none.
        if event.operation == Operation::Map && event.error.is_some() {
            return;
        }
        let AuditEvent {
            name,
            prefix,
            rights,
            created_by_guest,
            ..
        } = event;
        self.needs()
            .add(kind, name, *prefix, rights, *created_by_guest);
    }

    /// The flags, as they may be pasted into a shell, and what is to be known of them.
    pub fn in_words(&self, guest: &str) -> String {
        let needs = self.needs();
        let grants = needs.grants();
        let flags: Vec<String> = grants.iter().filter_map(|grant| grant.to_flag()).collect();
        let mut lines = match flags.is_empty() {
            true => format!("posix-ipc: {guest} needed no grants that a flag can give\n"),
            false => format!(
                "posix-ipc: {guest} needed\n    {}\n",
                flags.join(" \\\n    ")
            ),
        };
        for grant in grants.iter().filter(|grant| grant.to_flag().is_none()) {
            lines += &format!("posix-ipc: and in a manifest, which takes every name: {grant}\n");
        }
        for (kind, name) in needs.without_grant() {
            let name = name.escape_debug();
            lines += &format!("posix-ipc: and {kind}:{name}, which no grant can be for\n");
        }
        if !needs.is_complete() {
            lines += "posix-ipc: and names beyond these, which are too many to learn\n";
        }
        lines
    }

    fn needs(&self) -> MutexGuard<'_, Needs> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
