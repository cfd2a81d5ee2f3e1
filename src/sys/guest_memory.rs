//! The bytes of a guest that a call lends to the host.

use std::{ptr, slice};
use wasmtime::StoreContextMut;
use wasmtime::component::WasmList;

/// Runs `operation` on the data of a store together with the bytes of a list that
/// the guest passes, which are still in the guest's memory: neither copied in, nor
/// copied back where they are changed.
pub(crate) fn with_bytes<T: 'static, R>(
    store: &mut StoreContextMut<'_, T>,
    list: &WasmList<u8>,
    operation: impl FnOnce(&mut T, &mut [u8]) -> R,
) -> R {
    let bytes = list.as_le_slice(&*store);
    let (start, length) = (bytes.as_ptr().expose_provenance(), bytes.len());
    // SAFETY: the list was found to lie in the memory of the guest, of which compiled
    // code has the address, and whose every byte has a value. Nobody else uses these
    // bytes as long as the slice lives: the store is borrowed, so no guest of it
    // runs, its memories neither move nor end, and its data, which `operation` gets,
    // does not lead to them. No peer writes to them either, as objects are mapped
    // above the length of a memory only, see `super::guest_mapping`.
    let bytes =
        unsafe { slice::from_raw_parts_mut(ptr::with_exposed_provenance_mut(start), length) };
    operation(store.data_mut(), bytes)
}

/// Where in this process the bytes of a list are.
pub(crate) fn address_of<T: 'static>(store: &StoreContextMut<'_, T>, list: &WasmList<u8>) -> usize {
    list.as_le_slice(store).as_ptr().addr()
}
