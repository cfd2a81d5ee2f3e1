//! What a host has created and holds, written down where the next one finds it.
//!
//! A host that ends in any way that it notices cleans up itself. One that is killed
//! cannot, and so it keeps a ledger: a file in the runtime directory that it locks as
//! long as it lives. Whoever finds a ledger that nobody locks has found what a dead
//! host left, and finishes the cleanup, with [`reap`].
//!
//! The file is a row of records of one size, described in `record.rs`. It is written through a
//! mapping, which costs no system call and survives the death of the process.

mod dir;
mod reap;
mod record;
mod space;

use dir::Found;
pub use dir::LedgerDir;
pub use reap::{Holder, Leftover, Reaped, Scan, reap, scan};

use crate::name::{Kind, Name};
use crate::sys::shared_memory::SharedMemory;
use crate::sys::{self, Identity};
pub(crate) use record::MOST_HELD;
use record::{Contents, Record, Role};
use std::mem::ManuallyDrop;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, MutexGuard};

/// The ledger of a living host.
pub(crate) struct Ledger {
    folder: LedgerDir,
    name: String,
    state: Mutex<State>,
}

struct State {
    file: SharedMemory,
    /// The records that the file has room for, and those that are not in use.
    records: u64,
    free: Vec<u64>,
    /// What went wrong is said once.
    broken: bool,
    /// Whether there is something that could not be cleaned up, for which it is kept.
    left: bool,
}

/// How many records the file grows by, at least.
const STEP: u64 = 16;

impl Ledger {
    /// Starts a ledger in a folder.
    pub(crate) fn create(folder: &LedgerDir) -> std::io::Result<Arc<Self>> {
        let (name, file) = folder.new_ledger()?;
        let file = SharedMemory::from_file(file.into(), true);
        let state = State {
            file,
            records: 0,
            free: Vec::new(),
            broken: false,
            left: false,
        };
        let this = Self {
            folder: folder.clone(),
            name,
            state: Mutex::new(state),
        };
        this.state().start()?;
        Ok(Arc::new(this))
    }

    /// Cleans up while the guests may still be there. From then on they cannot change the
    /// ledger: who tries to waits for ever.
    pub(crate) fn abandon(&self) {
        let mut state = ManuallyDrop::new(self.state());
        let found = Found::open(&self.folder, &self.name);
        let Ok(Some(bytes)) = found.and_then(|found| found.map(|it| it.read()).transpose()) else {
            return;
        };
        if let Contents::Records(space, records) = record::parse(&bytes)
            && reap::finish(&mut state.file, &space, &records, &mut Vec::new())
        {
            let _ = self.folder.remove(&self.name);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn add(self: &Arc<Self>, record: &Record) -> Option<u64> {
        let mut state = self.state();
        let place = state
            .place()
            .and_then(|place| state.write(place, record).map(|()| place));
        place.map_err(|errno| self.give_up(&mut state, errno)).ok()
    }

    fn change(&self, change: impl FnOnce(&mut State) -> sys::Result<()>) {
        let mut state = self.state();
        if let Err(errno) = change(&mut state) {
            self.give_up(&mut state, errno);
        }
    }

    /// The guests go on: what is lost is the cleanup after a kill.
    fn give_up(&self, state: &mut State, errno: sys::Errno) {
        if !std::mem::replace(&mut state.broken, true) {
            tracing::warn!(
                "the ledger {} cannot be written ({errno}): if this process is killed, \
                 what its guests created stays",
                self.folder.shown(&self.name).display(),
            );
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // Every guest is gone. If all have cleaned up it goes, and its lock with it.
        if !self.state().left {
            let _ = self.folder.remove(&self.name);
        }
    }
}

impl State {
    fn start(&mut self) -> sys::Result<()> {
        self.file.reserve(record::HEADER as u64)?;
        self.file.write(0, &record::header())
    }

    /// A record that is not in use.
    fn place(&mut self) -> sys::Result<u64> {
        if self.free.is_empty() {
            let records = self.records + STEP.max(self.records / 8);
            if records > record::MOST_RECORDS {
                return Err(sys::Errno::ENOSPC);
            }
            self.file.reserve(record::offset(records))?;
            self.free.extend((self.records..records).rev());
            self.records = records;
        }
        self.free.pop().ok_or(sys::Errno::ENOSPC)
    }

    /// The role goes in last: a record is in use when it is complete.
    fn write(&mut self, place: u64, record: &Record) -> sys::Result<()> {
        let bytes = record.encode();
        self.file
            .write(record::offset(place) + record::HELD, &bytes)?;
        self.set_role(place, record.role)
    }

    fn set_role(&mut self, place: u64, role: Role) -> sys::Result<()> {
        set_role(&mut self.file, place, role)
    }

    fn set_held(&mut self, place: u64, count: u32) -> sys::Result<()> {
        set_held(&mut self.file, place, count)
    }
}

fn set_role(file: &mut SharedMemory, place: u64, role: Role) -> sys::Result<()> {
    file.with_u32(record::offset(place), true, |word| {
        word.store(role as u32, SeqCst)
    })
}

fn set_held(file: &mut SharedMemory, place: u64, count: u32) -> sys::Result<()> {
    let offset = record::offset(place) + record::HELD;
    file.with_u32(offset, true, |word| word.store(count, SeqCst))
}

/// The pages of the ledger that one guest writes. Without a ledger it writes nowhere.
#[derive(Clone)]
pub(crate) struct GuestLedger {
    ledger: Option<Arc<Ledger>>,
    guest: String,
}

/// A record, as long as this lives.
#[derive(Default)]
pub(crate) struct Entry {
    place: Option<(Arc<Ledger>, u64)>,
}

impl GuestLedger {
    pub(crate) fn new(ledger: Option<Arc<Ledger>>, guest: &str) -> Self {
        Self {
            ledger,
            guest: guest.into(),
        }
    }

    /// Notes that the guest is about to create an object, which is not known yet.
    pub(crate) fn creates(&self, name: &Name) -> Pending<'_> {
        let unknown = Identity {
            device: 0,
            inode: 0,
        };
        let entry = match name.kind() {
            // The other kinds are known before they can be found.
            Kind::MessageQueue => self.add(Role::Creating, name, unknown),
            Kind::Semaphore | Kind::SharedMemory => Entry::default(),
        };
        Pending {
            ledger: self,
            name: name.clone(),
            identity: unknown,
            entry,
        }
    }

    /// Notes that the guest has an object open.
    pub(crate) fn opens(&self, name: &Name, identity: Identity) -> Entry {
        self.add(Role::Open, name, identity)
    }

    /// Notes that what the guest takes of a semaphore is to be given back.
    pub(crate) fn undoes(&self, name: &Name, identity: Identity) -> Entry {
        self.add(Role::Undo, name, identity)
    }

    fn add(&self, role: Role, name: &Name, identity: Identity) -> Entry {
        let Some(ledger) = &self.ledger else {
            return Entry::default();
        };
        let record = Record {
            role,
            identity,
            held: 0,
            name: name.clone(),
            guest: self.guest.clone(),
        };
        Entry {
            place: ledger.add(&record).map(|place| (ledger.clone(), place)),
        }
    }
}

/// The record of an object that is being created.
pub(crate) struct Pending<'a> {
    ledger: &'a GuestLedger,
    name: Name,
    identity: Identity,
    entry: Entry,
}

impl Pending<'_> {
    /// Notes which object it has become.
    pub(crate) fn created(&mut self, identity: Identity) {
        self.identity = identity;
        self.entry = self.ledger.add(Role::Created, &self.name, identity);
    }

    /// The object that was created, which need not be looked at again: what could fail then
    /// would leave it to nobody.
    pub(crate) fn finish(self) -> (Entry, Identity) {
        (self.entry, self.identity)
    }
}

impl Entry {
    /// Notes how often the guest holds the semaphore.
    pub(crate) fn set_held(&self, count: u32) {
        if let Some((ledger, place)) = &self.place {
            ledger.change(|state| state.set_held(*place, count));
        }
    }

    /// Leaves the record, and with it the cleanup, to [`reap`].
    pub(crate) fn leave(mut self) {
        if let Some((ledger, _)) = self.place.take() {
            ledger.state().left = true;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some((ledger, place)) = self.place.take() {
            ledger.change(|state| {
                state.set_role(place, Role::Free)?;
                state.free.push(place);
                Ok(())
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::dir::Scratch;
    use super::*;
    use record::Contents;

    /// A guest that could not give everything back leaves a count behind, which is not
    /// the next one's.
    #[test]
    fn a_place_that_is_used_again_holds_nothing() {
        let folder = Scratch::new();
        let ledger = Ledger::create(&folder).unwrap();
        let guest = GuestLedger::new(Some(ledger.clone()), "guest");
        let identity = Identity {
            device: 1,
            inode: 2,
        };
        let held = || {
            let found = Found::open(&folder, &ledger.name).unwrap().unwrap();
            let bytes = found.read().unwrap();
            let Contents::Records(_, records) = record::parse(&bytes) else {
                panic!("no records");
            };
            let held = |(_, record): &(u64, Record)| record.held;
            records.iter().map(held).collect::<Vec<_>>()
        };

        let name = |name| Name::new(Kind::Semaphore, name).unwrap();
        let first = guest.undoes(&name("/first"), identity);
        first.set_held(3);
        assert_eq!(held(), [3]);
        drop(first);
        let _second = guest.undoes(&name("/second"), identity);
        assert_eq!(held(), [0]);
    }
}
