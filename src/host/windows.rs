//! The interface `windows`.

use crate::bindings::posix::ipc::windows::{Host, HostWindow};
use crate::ctx::IpcCtxView;
use wasmtime::component::Resource as Handle;

/// A guest's handle to a window.
pub struct Window {
    address: u64,
    length: u64,
}

impl Host for IpcCtxView<'_> {}

impl HostWindow for IpcCtxView<'_> {
    fn address(&mut self, this: Handle<Window>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&this)?.address)
    }

    fn length(&mut self, this: Handle<Window>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&this)?.length)
    }

    fn drop(&mut self, this: Handle<Window>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
