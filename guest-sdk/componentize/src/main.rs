//! Makes a component of a core module: one of wasip1 that has no `main` but exports
//! `wasi:cli/run`, and may import `posix:ipc`.
//!
//!     posix-ipc-componentize CORE.wasm OUTPUT.wasm

use anyhow::{Context, Result, bail};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The packages that the world is made of, in the order of their dependencies.
const PACKAGES: [(&str, &str); 5] = [
    ("io.wit", include_str!("../../../wit/deps/io.wit")),
    ("clocks.wit", include_str!("../../wit/deps/clocks.wit")),
    ("posix-ipc.wit", include_str!("../../../wit/posix-ipc.wit")),
    (
        "cli.wit",
        "package wasi:cli@0.2.12; interface run { run: func() -> result; }",
    ),
    (
        "guest.wit",
        "package posix-ipc:guest; \
         world guest { include posix:ipc/imports@0.1.0; \
         import wasi:clocks/monotonic-clock@0.2.12; export wasi:cli/run@0.2.12; }",
    ),
];

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [input, output] = &arguments[..] else {
        bail!("usage: posix-ipc-componentize CORE.wasm OUTPUT.wasm");
    };
    let core = std::fs::read(input).with_context(|| format!("cannot read {input:?}"))?;
    let component = componentize(core).with_context(|| format!("cannot wrap {input:?}"))?;
    std::fs::write(output, component).with_context(|| format!("cannot write {output:?}"))
}

fn componentize(mut core: Vec<u8>) -> Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    // What the core module does not import is left out.
    resolve.features.insert("direct".to_owned());
    let mut last = None;
    for (name, text) in PACKAGES {
        last = Some(resolve.push_str(name, text)?);
    }
    let package = last.context("no packages")?;
    let world = resolve.select_world(&[package], Some("guest"))?;
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8, false)?;
    ComponentEncoder::default()
        .module(&core)?
        .adapter(
            WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
            WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
        )?
        .validate(true)
        .encode()
}
