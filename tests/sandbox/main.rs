//! What a guest can do and what it cannot, and what is left of it.
#![cfg(feature = "cli")]

mod engine;
mod grants;
mod interruptions;
mod lifetime;
mod peers;
mod pollables;
#[path = "../support/mod.rs"]
mod support;
