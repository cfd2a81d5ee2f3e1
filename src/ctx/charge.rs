//! What objects take of their creators' quotas, and that whoever has an object open keeps
//! its creator paying.
//!
//! An unlinked object takes memory as long as anybody has it open. If only the creator's
//! own handles counted, two guests could hold more than both may: one creates, the other
//! opens, the first unlinks, closes and creates again.

use crate::name::Name;
use crate::quota::{QuotaExceeded, Reservation, Resource, Usage};
use crate::sys::Identity;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// What one object takes of its creator's quota. Held by what notes the guest as the
/// creator, and by every handle to the object of any guest of the host.
#[derive(Debug)]
pub(crate) struct Charge {
    taken: Mutex<Taken>,
    /// Which object it is, once there is one.
    identity: OnceLock<Identity>,
    listed: OnceLock<(Arc<Charges>, Name)>,
}

#[derive(Debug, Default)]
struct Taken {
    /// The object itself, of the quota and of its grant's `max`.
    _count: Vec<Reservation>,
    /// Its bytes, which a resize changes.
    bytes: Option<Reservation>,
}

impl Charge {
    pub(crate) fn new(count: Vec<Reservation>, bytes: Option<Reservation>) -> Arc<Self> {
        Arc::new(Self {
            taken: Taken {
                _count: count,
                bytes,
            }
            .into(),
            identity: OnceLock::new(),
            listed: OnceLock::new(),
        })
    }

    /// How many bytes are paid for.
    pub(crate) fn amount(&self) -> u64 {
        self.taken().bytes.as_ref().map_or(0, Reservation::amount)
    }

    /// Changes how many bytes are paid for, at first from this account. If there is not
    /// enough left, nothing changes.
    pub(crate) fn pay_shm_bytes(&self, usage: &Usage, amount: u64) -> Result<(), QuotaExceeded> {
        let bytes = &mut self.taken().bytes;
        match bytes {
            Some(bytes) => bytes.resize(amount)?,
            None => *bytes = Some(usage.reserve(Resource::ShmBytes, amount)?),
        }
        Ok(())
    }

    /// The object exists.
    pub(crate) fn created(&self, identity: Identity) {
        // Known once: an object does not turn into another one.
        let _ = self.identity.set(identity);
    }

    /// There will be no object. A guest that has opened another one under this name
    /// meanwhile does not keep the quota taken.
    pub(crate) fn cancel(&self) {
        *self.taken() = Taken::default();
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some((charges, name)) = self.listed.get() {
            charges.forget(name, self);
        }
    }
}

/// The charges of all guests of a host, by the names of their objects.
#[derive(Debug, Default)]
pub(crate) struct Charges(Mutex<HashMap<Name, Weak<Charge>>>);

impl Charges {
    /// To be called when the object is made: whoever opens it from then on finds its charge.
    pub(crate) fn list(self: &Arc<Self>, name: &Name, charge: &Arc<Charge>) {
        if charge.listed.set((self.clone(), name.clone())).is_ok() {
            self.all().insert(name.clone(), Arc::downgrade(charge));
        }
    }

    /// The charge of an object that has been opened by its name, if a guest of this host
    /// has created it.
    pub(crate) fn of(&self, name: &Name, identity: Identity) -> Option<Arc<Charge>> {
        // Outside of the lock: to drop the last of a charge takes it.
        let charge = self.all().get(name).and_then(Weak::upgrade)?;
        let is_this = charge.identity.get().is_none_or(|known| *known == identity);
        is_this.then_some(charge)
    }

    fn forget(&self, name: &Name, charge: &Charge) {
        let mut all = self.all();
        if all
            .get(name)
            .is_some_and(|listed| std::ptr::eq(listed.as_ptr(), charge))
        {
            all.remove(name);
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Name, Weak<Charge>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an open object takes of quotas. Held by the handle and by the pollables of it,
/// which keep the object open when the handle is closed.
#[derive(Debug)]
pub(crate) struct OpenCharge {
    _handle: Reservation,
    charge: Option<Arc<Charge>>,
}

impl OpenCharge {
    pub(crate) fn new(handle: Reservation, charge: Option<Arc<Charge>>) -> Arc<Self> {
        Arc::new(Self {
            _handle: handle,
            charge,
        })
    }

    pub(crate) fn charge(&self) -> Option<Arc<Charge>> {
        self.charge.clone()
    }
}
