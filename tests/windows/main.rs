//! Windows: objects mapped into the memory of a guest, and that nothing but the
//! guest's loads, stores and atomics reaches them.
#![cfg(feature = "cli")]

mod atomics;
#[path = "../support/mod.rs"]
mod common;
mod grants;
mod life;
mod rejected;
mod sdk;
mod shrunk;
mod support;
