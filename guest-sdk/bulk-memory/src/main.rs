//! Makes the bulk instructions of a component work in memory that `posix:ipc` maps.
//!
//!     posix-ipc-bulk-memory COMPONENT.wasm OUTPUT.wasm
//!
//! Mapped memory is above the guest's own. Loads, stores and atomics reach it;
//! `memory.copy` and `memory.fill` trap there, and the host takes no list that is there. A
//! compiler can be told not to use such instructions, but a C library and an interpreter that
//! come as they are have them in many places. So in each core module this replaces every
//! bulk instruction by a call of an appended function, which uses the instruction where all
//! addresses are in the guest's own memory, and a loop elsewhere. Calls that hand bytes to a
//! file or a stream are replaced likewise, by functions that hand over a copy.
//!
//! What is appended is the last of its kind, so nothing is renumbered.

mod component;
mod functions;
mod module;

use anyhow::{Context, Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [input, output] = &arguments[..] else {
        bail!("usage: posix-ipc-bulk-memory COMPONENT.wasm OUTPUT.wasm");
    };
    let before = std::fs::read(input).with_context(|| format!("cannot read {input:?}"))?;
    let after = component::rewrite(&before).with_context(|| format!("cannot rewrite {input:?}"))?;
    std::fs::write(output, after).with_context(|| format!("cannot write {output:?}"))
}
