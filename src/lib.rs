#![deny(unsafe_code)]
#![deny(missing_docs)]
//! placeholder

#[allow(missing_docs)]
mod bindings;
mod ctx;
mod error;
pub mod grant;
mod host;
pub mod ledger;
pub mod objects;
pub mod quota;
mod sys;
mod wait;

pub use ctx::{IpcCtx, IpcCtxBuilder, IpcCtxView, IpcHost, IpcHostBuilder, IpcView};
pub use error::{Error, ErrorCode};
pub use host::add_to_linker;
pub use wait::{Canceller, WaitStrategy};
