//! What a guest can do and what it cannot, and what is left of it.
#![cfg(feature = "cli")]

mod audit;
mod engine;
mod grants;
mod interruptions;
mod learn;
mod lifetime;
mod peers;
mod pollables;
#[path = "../support/mod.rs"]
mod support;
