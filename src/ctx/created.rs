//! What a guest has created, and that it goes when the guest does.

use super::{Charge, Permit};
use crate::ledger::Entry;
use crate::name::{Kind, Name};
use crate::objects::{identify, remove};
use crate::quota::Reservation;
use crate::sys::message_queue::MessageQueue;
use crate::sys::{self, Identity};
use std::collections::HashMap;
use std::sync::Arc;

/// The objects of one guest. Dropping it unlinks them.
#[derive(Default)]
pub(crate) struct Created {
    /// By the host's names.
    objects: HashMap<Name, Object>,
    /// What the guest added to segments of others. Nobody tells when those are
    /// gone, so it is paid for as long as the guest lives, and each counts as an object
    /// that it created.
    grown: HashMap<Identity, Arc<Charge>>,
}

struct Object {
    identity: Identity,
    /// A queue is kept open, so that looking whether the name still leads to it takes
    /// neither a descriptor nor the right to open it.
    queue: Option<MessageQueue>,
    keep: bool,
    charge: Arc<Charge>,
    entry: Entry,
}

impl Created {
    pub(crate) fn add(
        &mut self,
        permit: &Permit,
        identity: Identity,
        queue: Option<MessageQueue>,
        charge: &Arc<Charge>,
        entry: Entry,
    ) {
        let object = Object {
            identity,
            queue,
            keep: permit.grant.keep(),
            charge: charge.clone(),
            // What is kept is nothing to clean up after a kill either.
            entry: if permit.grant.keep() {
                Entry::default()
            } else {
                entry
            },
        };
        self.objects.insert(permit.host_name.clone(), object);
    }

    /// The charge of an object that this guest created and that is still there.
    pub(crate) fn charge(&self, kind: Kind, identity: Identity) -> Option<Arc<Charge>> {
        self.objects
            .iter()
            .find(|(name, object)| name.kind() == kind && object.identity == identity)
            .map(|(_, object)| object.charge.clone())
    }

    /// Whether the object that the name leads to is one that this guest created.
    pub(crate) fn is_creator(&self, host_name: &Name) -> sys::Result<bool> {
        match self.objects.get(host_name) {
            Some(object) if object.is_at(host_name)? => Ok(true),
            _ => identify(host_name).map(|_| false),
        }
    }

    /// The charge for what the guest has added to a segment of somebody else.
    pub(crate) fn grown(&self, identity: Identity) -> Option<Arc<Charge>> {
        self.grown.get(&identity).cloned()
    }

    /// The same for what it adds from now on.
    pub(crate) fn grows(&mut self, identity: Identity, count: Reservation) -> Arc<Charge> {
        let charge = Charge::new(vec![count], None);
        self.grown.insert(identity, charge.clone());
        charge
    }

    /// Gives back the quota of objects that are gone: a peer has removed their names, and
    /// nobody of this host has them open.
    pub(super) fn forget_gone(&mut self) {
        self.objects
            .retain(|name, object| Arc::strong_count(&object.charge) > 1 || !object.is_gone(name));
    }

    /// Forgets an object whose name is gone.
    pub(crate) fn forget(&mut self, host_name: &Name) {
        self.objects.remove(host_name);
    }
}

impl Drop for Created {
    fn drop(&mut self) {
        for (host_name, object) in self.objects.drain() {
            if !object.keep && !object.unlink(&host_name) {
                // As after a kill: whoever looks at the ledger next tries again.
                object.entry.leave();
            }
        }
    }
}

impl Object {
    fn is_at(&self, host_name: &Name) -> sys::Result<bool> {
        match &self.queue {
            Some(queue) => queue.has_name(),
            None => identify(host_name).map(|now| now == self.identity),
        }
    }

    fn is_gone(&self, host_name: &Name) -> bool {
        matches!(self.is_at(host_name), Ok(false) | Err(sys::Errno::ENOENT))
    }

    /// Unlinks the object unless its name leads to another one by now: that belongs to
    /// somebody else. Says whether nothing is left to do.
    fn unlink(&self, host_name: &Name) -> bool {
        // The guest has chosen it, and it may hold what deceives a terminal.
        let (kind, name) = (host_name.kind(), host_name.as_str().escape_debug());
        match self.is_at(host_name) {
            Ok(true) => match remove(host_name) {
                Ok(()) | Err(sys::Errno::ENOENT) => true,
                Err(errno) => {
                    tracing::warn!("{kind}:{name} could not be unlinked: {errno}");
                    false
                }
            },
            Ok(false) | Err(sys::Errno::ENOENT) => true,
            Err(errno) => {
                tracing::warn!(
                    "{kind}:{name} is left alone, because it cannot be looked at: {errno}"
                );
                false
            }
        }
    }
}
