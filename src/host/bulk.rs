//! The functions that need the guest's memory itself, and not what is in it.
//!
//! What is generated from the WIT package copies a list before a function sees it.
//! That costs a copy where many bytes are passed, and where a list says *which*
//! memory is meant, or is written to, a copy is no use at all. So these functions are
//! put into the linker by hand, over the generated ones.

use super::shared_memory::Segment;
use super::windows::Window;
use crate::bindings::posix::ipc::types::Access;
use crate::ctx::IpcView;
use crate::error::{Error, ErrorCode};
use crate::host::semaphore::Semaphore;
use crate::sys::guest::{address_of, with_bytes};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource as Handle, WasmList};

/// Replaces the generated functions.
pub(super) fn add_to_linker<T: IpcView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut semaphores = linker.instance("posix:ipc/semaphore@0.1.0")?;
    semaphores.func_wrap("[method]semaphore.map", map_semaphore)?;
    let mut segments = linker.instance("posix:ipc/shared-memory@0.1.0")?;
    segments.func_wrap("[method]segment.map", map_segment)?;
    segments.func_wrap("[method]segment.write", write)?;
    segments.func_wrap("[method]segment.read-into", read_into)?;
    Ok(())
}

/// What a function returns: one result, which is an answer for the guest.
type Answer<R> = wasmtime::Result<(Result<R, ErrorCode>,)>;

fn answer<R>(result: Result<R, Error>) -> Answer<R> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(Error::Code(code)) => Ok((Err(code),)),
        Err(Error::Trap(trap)) => Err(trap),
    }
}

fn map_semaphore<T: IpcView + 'static>(
    mut store: StoreContextMut<'_, T>,
    (this, probe): (Handle<Semaphore>, WasmList<u8>),
) -> Answer<Handle<Window>> {
    let engine = store.engine().clone();
    let probe = (probe.len() > 0).then(|| address_of(&store, &probe));
    answer(store.data_mut().ipc().map_semaphore(&this, &engine, probe))
}

fn map_segment<T: IpcView + 'static>(
    mut store: StoreContextMut<'_, T>,
    (this, probe, offset, length, access): (Handle<Segment>, WasmList<u8>, u64, u64, Access),
) -> Answer<Handle<Window>> {
    let engine = store.engine().clone();
    let probe = (probe.len() > 0).then(|| address_of(&store, &probe));
    let mut view = store.data_mut().ipc();
    answer(view.map_segment(
        &this,
        &engine,
        probe,
        offset..offset.saturating_add(length),
        access,
    ))
}

fn write<T: IpcView + 'static>(
    mut store: StoreContextMut<'_, T>,
    (this, offset, data): (Handle<Segment>, u64, WasmList<u8>),
) -> Answer<()> {
    let write = |host: &mut T, data: &mut [u8]| host.ipc().write_segment(&this, offset, data);
    answer(with_bytes(&mut store, &data, write))
}

fn read_into<T: IpcView + 'static>(
    mut store: StoreContextMut<'_, T>,
    (this, offset, buffer): (Handle<Segment>, u64, WasmList<u8>),
) -> Answer<u64> {
    let read = |host: &mut T, buffer: &mut [u8]| host.ipc().read_segment(&this, offset, buffer);
    answer(with_bytes(&mut store, &buffer, read))
}
