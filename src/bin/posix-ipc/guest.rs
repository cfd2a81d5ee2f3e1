//! What a guest's store holds, and the interfaces that a guest finds.

use anyhow::{Result, anyhow};
use wasmtime::Engine;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_posix_ipc::{IpcCtx, IpcCtxView, IpcView};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// The data of a guest's store.
pub struct Guest {
    ipc: IpcCtx,
    wasi: WasiCtx,
    table: ResourceTable,
}

impl Guest {
    pub fn new(ipc: IpcCtx, wasi: WasiCtx) -> Self {
        Self {
            ipc,
            wasi,
            table: ResourceTable::new(),
        }
    }
}

impl IpcView for Guest {
    fn ipc(&mut self) -> IpcCtxView<'_> {
        IpcCtxView {
            ctx: &mut self.ipc,
            table: &mut self.table,
        }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Everything that a guest may import.
pub fn linker(engine: &Engine) -> Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)
        .and_then(|()| wasmtime_posix_ipc::add_to_linker(&mut linker))
        .map_err(|error| anyhow!("{error:#}"))?;
    Ok(linker)
}
