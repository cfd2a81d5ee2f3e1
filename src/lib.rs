//! POSIX named semaphores, shared memory and message queues for WebAssembly
//! components that run in [`wasmtime`].
//!
//! A component talks to the native programs beside it through the host's own
//! objects, and reaches only the names that it was granted. The interfaces are the WIT
//! package `posix:ipc`; [`add_to_linker`] binds them.
//!
//! # Example
//!
//! A host that runs a command with the right to receive from one queue, to take one
//! semaphore, and to create shared memory under a prefix:
//!
//! ```no_run
//! use wasmtime::component::{Component, Linker, ResourceTable};
//! use wasmtime::{Config, Engine, Result, Store};
//! use wasmtime_posix_ipc::grant::Grants;
//! use wasmtime_posix_ipc::{IpcCtx, IpcCtxView, IpcHost, IpcView, LinkOptions};
//! use wasmtime_wasi::p2::bindings::Command;
//! use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
//!
//! struct Guest {
//!     ipc: IpcCtx,
//!     wasi: WasiCtx,
//!     table: ResourceTable,
//! }
//!
//! impl IpcView for Guest {
//!     fn ipc(&mut self) -> IpcCtxView<'_> {
//!         IpcCtxView { ctx: &mut self.ipc, table: &mut self.table }
//!     }
//! }
//!
//! impl WasiView for Guest {
//!     fn ctx(&mut self) -> WasiCtxView<'_> {
//!         WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(run())
//! # }
//! # async fn run() -> Result<()> {
//! // Guests make many short calls: this halves what each of them costs.
//! let mut config = Config::new();
//! config.concurrency_support(false);
//! let engine = Engine::new(&config)?;
//! let mut linker = Linker::new(&engine);
//! wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
//! wasmtime_posix_ipc::add_to_linker(&mut linker, &LinkOptions::default())?;
//!
//! // One host for all guests of the process, one context for each guest.
//! let host = IpcHost::new();
//! let ipc = IpcCtx::builder()
//!     .label("worker")
//!     .grants(Grants::parse([
//!         "mq:/jobs,recv",
//!         "sem:/gate,wait",
//!         "shm:/render.*,create,max-size=16MiB",
//!     ])?)
//!     .build(&host)?;
//!
//! let wasi = WasiCtx::builder().inherit_stdio().build();
//! let mut store = Store::new(&engine, Guest { ipc, wasi, table: ResourceTable::new() });
//! // Its memory, and wasmtime's own limits.
//! wasmtime_posix_ipc::limit_store(&mut store);
//! let component = Component::from_file(&engine, "worker.wasm")?;
//! let command = Command::instantiate_async(&mut store, &component, &linker).await?;
//! let succeeded = command.wasi_cli_run().call_run(&mut store).await?.is_ok();
//! # let _ = succeeded;
//! // Dropping the store closes what the guest holds and unlinks what it created.
//! # Ok(())
//! # }
//! ```
//!
//! # Which wasmtime
//!
//! Types of [`wasmtime`] and [`wasmtime_wasi`] are part of this interface, so a program
//! needs the same version of them: **wasmtime 48**, from 48.0.8 on. Each version of this
//! crate is for one version of wasmtime.
//!
//! # What holds
//!
//! - **Nothing without a grant.** See [`grant`]; what is denied goes to the log (of the
//!   `tracing` crate, target `posix_ipc::denied`) with the grant that would allow it.
//! - **A record, if it is wanted.** See [`audit`].
//! - **Limits.** See [`quota`]: what a guest is about to take is reserved first. The
//!   guest's own memory is limited by [`limit_store`], and what wasmtime keeps besides for
//!   each instance by [`check_component`]; for how long it computes, by the epochs or the
//!   fuel of the engine.
//! - **Waits can be cancelled.** Drop the future of the call, or use
//!   [`IpcCtx::canceller`]. A cancelled wait has taken nothing. Waiting guests hold no
//!   thread.
//! - **Nothing is left behind.** Dropping an [`IpcCtx`] unlinks what its guest created.
//!   After a host that was killed, [`ledger`] finishes the cleanup, if it was asked to
//!   keep one.
//! - **A peer cannot hurt the host.** It may shrink, unlink and corrupt what it shares:
//!   the guest gets an error.
//!
//! Linux with glibc is what this is made for and tested on.

#![deny(unsafe_code)]
#![deny(missing_docs)]

pub mod audit;
mod component_size;
mod ctx;
mod error;
#[cfg(feature = "explore")]
pub mod explore;
pub mod grant;
mod host;
pub mod ledger;
pub mod mappings;
mod name;
pub mod objects;
pub mod quota;
mod random;
mod sys;
mod wait;

/// What the fuzz targets and benchmarks of this repository call. It is no part of the
/// interface, and changes at any time.
#[cfg(feature = "_internals")]
#[doc(hidden)]
#[allow(missing_docs)]
pub mod internals {
    pub use crate::error::Error;
    pub use crate::grant::denial::Denial;
    pub use crate::host::bindings;

    /// What the log says about a denied call.
    pub fn denial(
        grants: &crate::grant::Grants,
        name: &crate::grant::Name,
        rights: &[crate::grant::Right],
        created_by_guest: bool,
    ) -> Denial {
        grants.denial(name, rights, created_by_guest)
    }
}

pub use component_size::check_component;
pub use ctx::{IpcCtx, IpcCtxBuilder, IpcCtxView, IpcHost, IpcHostBuilder, IpcView, limit_store};
pub use error::ErrorCode;
pub use host::Ipc;
pub use host::linker::{self, LinkOptions, add_to_linker};
pub use wait::{Canceller, WaitStrategy, Waiting};
