//! Who is who: the host (one in a process, shared), and the context of one guest
//! with its grants, its quota and what it has created.

mod access;
mod charge;
mod created;
mod limiter;
mod log_dedup;
mod permit;
mod undo;
mod watch;

pub(crate) use access::{AccessRequest, RightState};
pub(crate) use charge::{Charge, Charges, OpenCharge};
pub use limiter::limit_store;
pub(crate) use permit::{Lookup, Permit};
pub(crate) use undo::Held;
pub(crate) use watch::{Call, Number, Watched};
#[cfg(feature = "explore")]
pub(crate) use watch::{Operation as WatchedOperation, Watch};

use crate::audit::{AuditEvent, Operation};
use crate::error::{Error, ErrorCode};
use crate::grant::{Grant, GrantError, Grants, PrivateNamespace, Right};
use crate::ledger::{GuestLedger, Ledger, LedgerDir};
use crate::mappings::{Mappings, OpenMappings};
use crate::name::Name;
use crate::quota::{Counter, Quota, QuotaExceeded, Reservation, Resource, Usage};
use crate::sys::limits::Refusal;
use crate::sys::semaphore::Semaphore;
use crate::wait::{Canceller, Park, WaitMode, WaitStrategy, Waiter, Waits};
use access::Audit;
use created::Created;
use log_dedup::{LogDecision, LogDedup};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use undo::Undo;
use wasmtime::Trap;
use wasmtime::component::ResourceTable;

/// What the guests of a process share: the machinery for waiting.
///
/// Cloning gives another handle to the same host. One is enough for a process, and
/// guests of different hosts in one process work too.
#[derive(Clone)]
pub struct IpcHost {
    shared: Arc<Shared>,
}

struct Shared {
    waits: Waits,
    ledger: Result<Option<Arc<Ledger>>, io::Error>,
    mappings: Option<Mappings>,
    charges: Arc<Charges>,
}

impl IpcHost {
    /// A host with the default settings.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A builder, to change the settings.
    pub fn builder() -> IpcHostBuilder {
        IpcHostBuilder {
            strategy: WaitStrategy::default(),
            inline: Duration::from_micros(50),
            ledger: None,
            mappings: None,
            parking: None,
        }
    }

    /// Why there is no [ledger](IpcHostBuilder::ledger), where one was asked for and could
    /// not be started. The host works without one: who would rather not have such a host
    /// looks here after [`IpcHostBuilder::build`]. A ledger that cannot be written later,
    /// as on a full disk, is told by the log alone.
    pub fn ledger_error(&self) -> Option<&io::Error> {
        self.shared.ledger.as_ref().err()
    }

    /// Cleans up for guests that do not end, as [`ledger::reap`](crate::ledger::reap)
    /// would after this process: unlinks what they created, and gives back what they took
    /// under `undo`. To be called when the process is about to end: guests of this host
    /// that create, open or close an object from now on wait for ever. Without a
    /// [ledger](IpcHostBuilder::ledger) nothing is done.
    pub fn abandon(&self) {
        if let Some(ledger) = self.ledger() {
            ledger.abandon();
        }
    }

    fn ledger(&self) -> Option<&Arc<Ledger>> {
        self.shared.ledger.as_ref().ok()?.as_ref()
    }

    pub(crate) fn waits(&self) -> &Waits {
        &self.shared.waits
    }

    pub(crate) fn mappings(&self) -> Option<&Mappings> {
        self.shared.mappings.as_ref()
    }

    pub(crate) fn charges(&self) -> &Arc<Charges> {
        &self.shared.charges
    }
}

impl Default for IpcHost {
    fn default() -> Self {
        Self::new()
    }
}

/// Settings of an [`IpcHost`].
#[derive(Clone)]
#[must_use]
pub struct IpcHostBuilder {
    strategy: WaitStrategy,
    inline: Duration,
    ledger: Option<LedgerDir>,
    mappings: Option<Mappings>,
    parking: Option<Arc<dyn Park>>,
}

impl IpcHostBuilder {
    /// How guests wait for semaphores and words of shared memory.
    pub fn wait_strategy(mut self, strategy: WaitStrategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// For how long a wait blocks the thread that runs the guest before it gives
    /// the thread away. A peer that answers within this time is answered as fast
    /// as a native process would be. The default is 50 microseconds; 0 gives the
    /// thread away at once.
    pub fn inline_wait(mut self, longest: Duration) -> Self {
        self.inline = longest;
        self
    }

    /// Writes down in this folder what the guests create and hold, so that
    /// [`ledger::reap`](crate::ledger::reap) can clean up after a host that was
    /// killed. Without a ledger nothing is written anywhere.
    pub fn ledger(mut self, folder: LedgerDir) -> Self {
        self.ledger = Some(folder);
        self
    }

    /// Lets guests map objects into their memory where their grants say `map`: those
    /// of the engine that was configured for it.
    pub fn mappings(mut self, mappings: Mappings) -> Self {
        self.mappings = Some(mappings);
        self
    }

    /// Lets a scheduler end the waits of guests.
    #[cfg(feature = "explore")]
    pub(crate) fn park(mut self, parking: Arc<dyn Park>) -> Self {
        self.parking = Some(parking);
        self
    }

    /// The host. If the ledger cannot be started the log says so, as does
    /// [`IpcHost::ledger_error`], and the host works without one.
    pub fn build(self) -> IpcHost {
        let start = |folder: LedgerDir| {
            Ledger::create(&folder).inspect_err(|error| {
                tracing::warn!(
                    "no ledger ({error}): if this process is killed, what its guests \
                     created stays"
                );
            })
        };
        IpcHost {
            shared: Arc::new(Shared {
                waits: Waits::new(self.strategy, self.inline, self.parking),
                ledger: self.ledger.map(start).transpose(),
                mappings: self.mappings,
                charges: Arc::default(),
            }),
        }
    }
}

/// The context of one guest: what it may do, holds and has created.
///
/// Dropping it ends the guest's presence: semaphores granted with `undo` are given
/// back, and what the guest created is unlinked unless its grant says `keep`. Drop
/// it together with the guest's [`Store`](wasmtime::Store), where it normally
/// lives.
pub struct IpcCtx {
    host: IpcHost,
    label: String,
    grants: Grants,
    usage: Usage,
    /// What is created under each grant, for its `max`; in the order of the grants.
    per_grant: Vec<Option<Counter>>,
    created: Created,
    undo: Undo,
    ledger: GuestLedger,
    mappings: OpenMappings,
    /// Room for what is read, kept from one time to the next.
    spare: Arc<Vec<u8>>,
    canceller: Canceller,
    /// What the guest's memories and tables take.
    memory: Option<Reservation>,
    refused_memory: bool,
    denials: LogDedup,
    limits: Mutex<LogDedup>,
    audit: Option<Box<Audit>>,
    watch: Option<Arc<dyn watch::Watch>>,
}

impl IpcCtx {
    /// A builder for a guest's context. Without any grant the guest may do nothing.
    pub fn builder() -> IpcCtxBuilder {
        IpcCtxBuilder {
            label: "guest".into(),
            grants: Grants::new(),
            private: None,
            quota: Quota::default(),
            audit: None,
            watch: None,
        }
    }

    /// Gives back what the guest holds under `undo`, as if it had ended.
    #[cfg(feature = "explore")]
    pub(crate) fn give_back(&mut self) {
        self.undo = Undo::default();
    }

    /// A handle that ends the guest's waits, from any thread.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Adds to a guest's trap what only this context knows: that the access which
    /// ended the guest was to a mapping of which a peer has shrunk the object. Every
    /// other error comes back as it is.
    ///
    /// Ask before the guest's handles are gone, that is, while its
    /// [`ResourceTable`](wasmtime::component::ResourceTable) is there.
    pub fn explain(&self, error: wasmtime::Error) -> wasmtime::Error {
        if error.downcast_ref() != Some(&Trap::MemoryOutOfBounds) {
            return error;
        }
        match self.mappings.fault() {
            Some(fault) => error.context(fault),
            None => error,
        }
    }

    /// What the guest may hold.
    pub fn quota(&self) -> &Quota {
        self.usage.quota()
    }

    /// Whether the quota has refused memory to the guest. If it cannot be instantiated
    /// then, with an error that is no [`Trap`], its limit is too small for it to start.
    pub fn was_refused_memory(&self) -> bool {
        self.refused_memory
    }

    pub(crate) fn host(&self) -> &IpcHost {
        &self.host
    }

    pub(crate) fn ledger(&self) -> &GuestLedger {
        &self.ledger
    }

    pub(crate) fn created(&mut self) -> &mut Created {
        &mut self.created
    }

    /// What [`Self::undo`] takes of the quota, if the grant says `undo`: a handle, besides
    /// those by which the guest uses the semaphore.
    pub(crate) fn reserve_undo(&self, permit: &Permit) -> Result<Option<Reservation>, Error> {
        let undo = permit.grant.undo();
        undo.then(|| self.reserve(Resource::Handles, 1)).transpose()
    }

    /// The counter for a semaphore that is given back when the guest ends.
    pub(crate) fn undo(
        &mut self,
        semaphore: &Arc<Semaphore>,
        host_name: &Name,
        charge: Option<&Arc<Charge>>,
        taken: Reservation,
    ) -> Arc<Held> {
        let ledger = &self.ledger;
        self.undo.of(semaphore.identity(), |tokens| {
            let entry = ledger.undoes(host_name, semaphore.identity());
            Held::new(semaphore.clone(), tokens, entry, taken, charge.cloned())
        })
    }

    /// To be called when a handle to a semaphore is gone.
    pub(crate) fn forget_unheld(&mut self) {
        self.undo.forget_unheld();
    }

    /// The wait that the guest asks for, not longer than its quota allows.
    pub(crate) fn wait_mode(&self, timeout: Option<u64>) -> WaitMode {
        let longest = self.usage.quota().wait;
        let longest = longest.map(|wait| u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
        WaitMode::new(timeout.into_iter().chain(longest).min())
    }

    pub(crate) fn spare(&mut self) -> &mut Arc<Vec<u8>> {
        &mut self.spare
    }

    pub(crate) fn open_mappings_mut(&mut self) -> &mut OpenMappings {
        &mut self.mappings
    }

    /// Takes from the guest's quota, or tells it and the log that there is no more.
    pub(crate) fn reserve(&self, resource: Resource, amount: u64) -> Result<Reservation, Error> {
        self.usage
            .reserve(resource, amount)
            .map_err(|exceeded| self.over(&exceeded))
    }

    /// Takes a pollable of an object from the guest's quota.
    pub(crate) fn reserve_pollable(&self, permit: &Permit) -> Result<Reservation, Error> {
        let taken = self.reserve(Resource::Pollables, 1);
        let request = AccessRequest::new(Operation::Subscribe, permit.target());
        self.audited_limit(request, taken)
    }

    /// Takes an object and its bytes from the guest's quota and from its grant's own limit.
    pub(crate) fn charge_object(
        &mut self,
        permit: &Permit,
        bytes: Option<(Resource, u64)>,
    ) -> Result<Arc<Charge>, Error> {
        self.take_or_reclaim(|ctx| {
            let mut count = vec![ctx.usage.reserve(Resource::Created, 1)?];
            if let Some(Some(counter)) = ctx.per_grant.get(permit.index) {
                count.push(counter.reserve(1)?);
            }
            let bytes = bytes.map(|(resource, amount)| ctx.usage.reserve(resource, amount));
            Ok(Charge::new(count, bytes.transpose()?))
        })
    }

    /// Takes from the guest's quota for objects. If there is not enough left, the objects
    /// that a peer has unlinked give theirs back before the guest is told.
    pub(crate) fn take_or_reclaim<T>(
        &mut self,
        mut take: impl FnMut(&Self) -> Result<T, QuotaExceeded>,
    ) -> Result<T, Error> {
        if let Ok(taken) = take(self) {
            return Ok(taken);
        }
        self.created.forget_gone();
        take(self).map_err(|exceeded| self.over(&exceeded))
    }

    /// What the guest holds. A clone of it is for other threads, and for later.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// The guest's answer to a request beyond a limit, which is logged.
    pub(crate) fn over(&self, exceeded: &QuotaExceeded) -> Error {
        self.log_limit(&exceeded.to_string());
        ErrorCode::Quota.into()
    }

    /// The guest's answer to a call on one of its objects that the system has refused. If
    /// that was for a limit of the system's, the log says which.
    pub(crate) fn refused(&self, permit: &Permit, refusal: Refusal) -> Error {
        if let Some(limit) = &refusal.limit {
            let kind = permit.guest_name.kind();
            let name = permit.guest_name.as_str().escape_debug();
            self.log_limit(&format!("the system refuses {kind}:{name}: {limit}"));
        }
        refusal.errno.into()
    }

    /// The outcome of a wait. If it was the quota that ended it, the log says so.
    pub(crate) fn waited<T>(
        &self,
        outcome: Result<T, impl Into<Error>>,
        timeout: Option<u64>,
    ) -> Result<T, Error> {
        let outcome = outcome.map_err(Into::into);
        if let Err(Error::Code(ErrorCode::TimedOut)) = outcome
            && let Some(longest) = self.usage.quota().wait
            && timeout.is_none_or(|timeout| Duration::from_nanos(timeout) > longest)
        {
            self.log_limit(&format!(
                "the limit of {longest:?} for a wait has ended one; raise it with --max-wait TIME"
            ));
        }
        outcome
    }

    /// Says which limit the guest has met, but not over and over.
    fn log_limit(&self, line: &str) {
        let notice = {
            let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
            limits.add(line)
        };
        if matches!(notice, LogDecision::Nothing) {
            return;
        }
        tracing::warn!(target: "posix_ipc::quota", guest = %self.label, "{line}");
        if matches!(notice, LogDecision::SayAsLast) {
            tracing::warn!(
                target: "posix_ipc::quota", guest = %self.label,
                "{} different limits met; later ones are not logged", LogDedup::MOST,
            );
        }
    }

    /// The guest's answer to a request beyond a limit of its grant, which is logged.
    pub(crate) fn over_grant<T: fmt::Display>(
        &self,
        permit: &Permit,
        option: &str,
        max: T,
        asked: T,
    ) -> Error {
        let kind = permit.guest_name.kind();
        let name = permit.guest_name.as_str().escape_debug();
        self.log_limit(&format!(
            "the grant's {option}={max} does not allow {kind}:{name} with {asked}; raise it in the grant"
        ));
        ErrorCode::Quota.into()
    }

    /// Checks that the host can hold the longest message of a queue.
    pub(crate) fn check_message_size(&self, bytes: u32) -> Result<(), Error> {
        self.usage
            .check_message_size(bytes.into())
            .map_err(|exceeded| self.over(&exceeded))
    }

    fn log_denial(&mut self, name: &Name, rights: &[Right], optional: bool) {
        let line = self.grants.denial(name, rights, false).to_string();
        let notice = self.denials.add(&line);
        if matches!(notice, LogDecision::Nothing) {
            return;
        }
        if optional {
            tracing::info!(target: "posix_ipc::denied", guest = %self.label, "{line}");
        } else {
            tracing::warn!(target: "posix_ipc::denied", guest = %self.label, "{line}");
        }
        if matches!(notice, LogDecision::SayAsLast) {
            tracing::warn!(
                target: "posix_ipc::denied", guest = %self.label,
                "{} different uses denied; later ones are not logged", LogDedup::MOST,
            );
        }
    }

    /// The guest, as who waits for an object.
    pub(crate) fn waiter<'a>(&'a self, name: &'a Name, operation: &'static str) -> Waiter<'a> {
        Waiter::new(&self.canceller, name, operation)
    }
}

/// Settings of an [`IpcCtx`].
#[must_use]
pub struct IpcCtxBuilder {
    label: String,
    grants: Grants,
    private: Option<PrivateNamespace>,
    quota: Quota,
    audit: Option<Box<Audit>>,
    watch: Option<Arc<dyn watch::Watch>>,
}

impl IpcCtxBuilder {
    /// What the guest is called in logs. The default is `guest`.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// What the guest may use. Nothing by default.
    pub fn grants(mut self, grants: Grants) -> Self {
        self.grants = grants;
        self
    }

    /// Gives the guest a namespace of its own instead of grants: every name works,
    /// is invisible to others, and is gone when the guest is. The objects are real
    /// ones, under names with a random prefix.
    pub fn private(self) -> Self {
        self.private_namespace(PrivateNamespace::random())
    }

    /// As [`Self::private`], in a namespace that several guests can be given.
    pub fn private_namespace(mut self, namespace: PrivateNamespace) -> Self {
        self.private = Some(namespace);
        self
    }

    /// What the guest may hold.
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quota = quota;
        self
    }

    /// Tells `audit` what the guest asks for and what is decided, in the order in which
    /// it happens; see [`audit`](crate::audit) for what that is. The guest stands still
    /// meanwhile, and so does the thread that runs it.
    ///
    /// An error ends the guest with a trap: nothing that it does later is missing in the
    /// record. Opening, creating, unlinking and resizing are told of when they are done,
    /// so the one of which the record failed may have been.
    pub fn audit(
        mut self,
        audit: impl Fn(&AuditEvent<'_>) -> wasmtime::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.audit = Some(Box::new(audit));
        self
    }

    /// Tells `watch` what the guest does.
    #[cfg(feature = "explore")]
    pub(crate) fn watch(mut self, watch: Arc<dyn Watch>) -> Self {
        self.watch = Some(watch);
        self
    }

    /// The context, for a guest of `host`.
    ///
    /// # Errors
    ///
    /// If there are grants beside a private namespace, which leaves nothing to grant.
    pub fn build(self, host: &IpcHost) -> Result<IpcCtx, GrantError> {
        let grants = match self.private {
            Some(_) if !self.grants.is_empty() => return Err(GrantError::Private),
            Some(namespace) => Grants::private(namespace),
            None => self.grants,
        };
        let counter = |grant: &Grant| {
            let what = format!("objects of {}", grant.pattern());
            grant
                .max_objects()
                .map(|max| Counter::new(max, what, "max=N in the grant"))
        };
        Ok(IpcCtx {
            host: host.clone(),
            ledger: GuestLedger::new(host.ledger().cloned(), &self.label),
            label: self.label,
            per_grant: grants.iter().map(counter).collect(),
            grants,
            usage: Usage::new(self.quota),
            created: Created::default(),
            undo: Undo::default(),
            mappings: OpenMappings::default(),
            spare: Arc::default(),
            canceller: Canceller::new(),
            memory: None,
            refused_memory: false,
            denials: LogDedup::default(),
            limits: Mutex::default(),
            audit: self.audit,
            watch: self.watch,
        })
    }
}

/// Access to a store's [`IpcCtx`], for [`add_to_linker`](crate::add_to_linker).
pub trait IpcView: Send {
    /// The context and the table for the guest's handles.
    fn ipc(&mut self) -> IpcCtxView<'_>;
}

/// What [`IpcView`] gives: borrows of two parts of the store's data.
pub struct IpcCtxView<'a> {
    /// The guest's context.
    pub ctx: &'a mut IpcCtx,
    /// The guest's handles. May be shared with WASI.
    pub table: &'a mut ResourceTable,
}
