//! What a guest's store holds, and the interfaces that a guest finds.

use anyhow::{Result, anyhow};
use wasmtime::Engine;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime_posix_ipc::{IpcCtx, IpcCtxView, IpcView, LinkOptions};
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

/// Everything that this guest may import.
pub fn linker(engine: &Engine, guest: &Component) -> Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    let options = link_options(guest);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)
        .and_then(|()| wasmtime_posix_ipc::add_to_linker(&mut linker, &options))
        .map_err(|error| anyhow!("{error:#}"))?;
    Ok(linker)
}

/// With the interface `direct`, each component of a guest can use the handles of the others.
/// So only a guest gets it that has one memory, which all its components share anyway.
pub fn link_options(guest: &Component) -> LinkOptions {
    let mut options = LinkOptions::default();
    options.direct(has_one_memory(guest));
    options
}

fn has_one_memory(guest: &Component) -> bool {
    let required = guest.resources_required();
    required.is_some_and(|required| required.num_memories <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_of_several_memories_gets_no_direct_calls() {
        let part = "(component (core module $m (memory 1)) (core instance (instantiate $m)))";
        let imports = r#"(import "posix:ipc/direct@0.1.0" (instance
            (export "try-acquire" (func (param "semaphore" u32) (result bool)))))"#;
        let engine = Engine::default();
        for (parts, is_linked) in [(1, true), (2, false)] {
            let parts: String = (0..parts)
                .map(|part_number| {
                    format!(
                        "{} (instance (instantiate $part{part_number}))",
                        part.replacen("(component", &format!("(component $part{part_number}"), 1)
                    )
                })
                .collect();
            let text = format!("(component {imports} {parts})");
            let guest = Component::new(&engine, text).unwrap();
            let linked = linker(&engine, &guest).unwrap().instantiate_pre(&guest);
            assert_eq!(linked.is_ok(), is_linked, "{parts}");
        }
    }
}
