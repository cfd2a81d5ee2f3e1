//! What a store limits, according to the quota of its guest.

use super::{AccessRequest, IpcCtx, IpcView};
use crate::audit::Operation;
use crate::component_size::MOST_INSTANCES;
use crate::error::Error;
use crate::quota::Resource;
use wasmtime::{ResourceLimiter, Store};

/// What else a guest of WASI has open: streams, files, clocks, errors.
const OTHER_HANDLES: u64 = 10_000;

/// The most bytes that a call may pass to the host, which is wasmtime's own default. The
/// host holds no more than this of a guest for the time of a call.
const LARGEST_CALL: usize = 128 << 20;

/// The most memories of a guest. Each takes 4 GiB of the process's addresses, even one
/// without a page: 64 of them leave room for 500 guests.
const MOST_MEMORIES: usize = 64;

/// The most tables of a guest. An empty one takes some hundred bytes.
const MOST_TABLES: usize = 1000;

/// Limits a store as the quota of its guest says. To be called before the guest is
/// instantiated.
///
/// - The guest's memories and tables together are limited to
///   [`Quota::memory`](crate::quota::Quota::memory), by [`Store::limiter`]. A host with
///   a limiter of its own calls that of the [`IpcCtx`] in it.
/// - A guest has at most 256 core instances, 64 memories and 1000 tables. A component that
///   has more is not instantiated.
/// - [`Store::set_max_component_handles`], and [`ResourceTable::set_max_capacity`] of the
///   table that [`IpcView`] gives: wasmtime ends a guest that has more handles than
///   these say. They are set above what the quota allows, so that the guest meets the
///   error `quota` first, with room for 10 000 handles of WASI and others. Without this
///   a guest of a quota that allows more than wasmtime's default of 100 000 is ended.
/// - [`Store::set_hostcall_fuel`] is 128 MiB, as it is by default: a guest that passes
///   more in one call is ended.
///
/// What remains are the size of each instance, which takes
/// [`check_component`](crate::check_component) to limit; the time that the guest computes,
/// which takes [`Store::set_epoch_deadline`] or fuel; and a timeout around the call.
///
/// [`ResourceTable::set_max_capacity`]: wasmtime::component::ResourceTable::set_max_capacity
pub fn limit_store<T: IpcView + 'static>(store: &mut Store<T>) {
    let view = store.data_mut().ipc();
    let quota = view.ctx.usage.quota();
    let handles = [quota.handles, quota.pollables, OTHER_HANDLES]
        .into_iter()
        .fold(0, u64::saturating_add);
    // A pollable and what it is made of are two entries.
    let entries = handles.saturating_add(quota.pollables);
    let [handles, entries] =
        [handles, entries].map(|most| usize::try_from(most).unwrap_or(usize::MAX));
    view.table.set_max_capacity(entries);
    store.set_max_component_handles(handles);
    store.set_hostcall_fuel(LARGEST_CALL);
    store.limiter(|data| data.ipc().ctx);
}

/// Counts the memories and tables of a guest against
/// [`Quota::memory`](crate::quota::Quota::memory). They are given back with the guest.
///
/// To grow beyond it fails as it does when the system has no memory: `memory.grow` is
/// -1. A guest that needs more from the start is not instantiated.
///
/// What is counted is never given back while the guest lives, not even when wasmtime
/// reports that a growth has failed: it does so as well for a growth that it has not
/// announced, and then there is nothing to give back. A growth beyond the maximum of
/// the memory or table is refused before it is counted, so what remains are failures of
/// the system, which has no memory left anyway.
impl ResourceLimiter for IpcCtx {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let grows = desired.saturating_sub(current);
        match maximum.is_none_or(|maximum| desired <= maximum) {
            true => self.grow(grows),
            false => Ok(false),
        }
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let grows = desired.saturating_sub(current);
        let grows = grows.saturating_mul(size_of::<usize>());
        match maximum.is_none_or(|maximum| desired <= maximum) {
            true => self.grow(grows),
            false => Ok(false),
        }
    }

    fn instances(&self) -> usize {
        MOST_INSTANCES
    }

    fn memories(&self) -> usize {
        MOST_MEMORIES
    }

    fn tables(&self) -> usize {
        MOST_TABLES
    }
}

impl IpcCtx {
    fn grow(&mut self, bytes: usize) -> wasmtime::Result<bool> {
        let bytes = bytes as u64;
        let grown = match &mut self.memory {
            Some(taken) => taken.resize(taken.amount().saturating_add(bytes)),
            taken @ None => self
                .usage
                .reserve(Resource::Memory, bytes)
                .map(|new| *taken = Some(new)),
        };
        let grown = grown.map_err(|exceeded| self.over(&exceeded));
        match self.audited_limit(AccessRequest::nameless(Operation::Grow), grown) {
            Ok(()) => Ok(true),
            Err(Error::Code(_)) => {
                self.refused_memory = true;
                Ok(false)
            }
            Err(Error::Trap(trap)) => Err(trap),
        }
    }
}
