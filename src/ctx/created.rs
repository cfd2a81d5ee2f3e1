//! What a guest has created, and that it goes when the guest does.

use super::Permit;
use crate::grant::Kind;
use crate::ledger::Entry;
use crate::objects::{identify, remove};
use crate::quota::Reservation;
use crate::sys::{self, Identity};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// The objects of one guest. Dropping it unlinks them.
#[derive(Default)]
pub(crate) struct Created {
    objects: HashMap<(Kind, String), Object>,
    /// What the guest added to segments of others. Nobody tells when those are
    /// gone, so it is paid for as long as the guest lives, and each counts as an object
    /// that it created.
    grown: HashMap<Identity, Arc<Charge>>,
}

struct Object {
    identity: Identity,
    keep: bool,
    charge: Arc<Charge>,
    _entry: Entry,
}

/// What an object takes from its creator's quota. Held by the object's entry and by
/// every handle to it: an unlinked object still takes memory while it is open.
#[derive(Debug)]
pub(crate) struct Charge {
    /// The object itself, of the quota and of its grant's `max`.
    _count: Vec<Reservation>,
    /// Its bytes, which a resize changes.
    bytes: Mutex<Option<Reservation>>,
}

impl Charge {
    pub(crate) fn new(count: Vec<Reservation>, bytes: Option<Reservation>) -> Arc<Self> {
        Arc::new(Self {
            _count: count,
            bytes: Mutex::new(bytes),
        })
    }

    /// How many bytes are paid for.
    pub(crate) fn amount(&self) -> u64 {
        self.bytes().as_ref().map_or(0, Reservation::amount)
    }

    pub(crate) fn bytes(&self) -> MutexGuard<'_, Option<Reservation>> {
        self.bytes
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Created {
    pub(crate) fn add(
        &mut self,
        kind: Kind,
        permit: &Permit,
        identity: Identity,
        charge: &Arc<Charge>,
        entry: Entry,
    ) {
        let object = Object {
            identity,
            keep: permit.grant.keep(),
            charge: charge.clone(),
            // What is kept is nothing to clean up after a kill either.
            _entry: if permit.grant.keep() {
                Entry::default()
            } else {
                entry
            },
        };
        self.objects
            .insert((kind, permit.host_name.clone()), object);
    }

    /// The charge of an object that this guest created and that is still there.
    pub(crate) fn charge(&self, kind: Kind, identity: Identity) -> Option<Arc<Charge>> {
        self.objects
            .iter()
            .find(|((of, _), object)| *of == kind && object.identity == identity)
            .map(|(_, object)| object.charge.clone())
    }

    /// Whether the object that the name leads to is one that this guest created.
    pub(crate) fn is_creator(&self, kind: Kind, host_name: &str) -> sys::Result<bool> {
        let now = identify(kind, host_name)?;
        let created = self.objects.get(&(kind, host_name.to_owned()));
        Ok(created.is_some_and(|object| object.identity == now))
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

    /// Forgets an object whose name is gone.
    pub(crate) fn forget(&mut self, kind: Kind, host_name: &str) {
        self.objects.remove(&(kind, host_name.to_owned()));
    }
}

impl Drop for Created {
    fn drop(&mut self) {
        for ((kind, host_name), object) in &self.objects {
            if !object.keep {
                unlink_if_same(*kind, host_name, object.identity);
            }
        }
    }
}

/// Unlinks an object unless its name leads to another one by now: that belongs to
/// somebody else.
fn unlink_if_same(kind: Kind, host_name: &str, identity: Identity) {
    match identify(kind, host_name) {
        Ok(now) if now == identity => {
            if let Err(errno) = remove(kind, host_name) {
                tracing::warn!("{kind}:{host_name} could not be unlinked: {errno}");
            }
        }
        Ok(_) | Err(sys::Errno::NOENT) => {}
        Err(errno) => tracing::warn!(
            "{kind}:{host_name} is left alone, because it cannot be looked at: {errno}"
        ),
    }
}
