//! All integration tests are one program: it links wasmtime once, and `cargo test NAME`
//! picks tests by the names of the modules, such as `cargo test attacks::`.
#![cfg(feature = "cli")]

mod attacks;
mod cli;
mod conformance;
mod doctor;
mod explore;
mod faults;
mod fleet;
mod fuzz;
mod languages;
mod mappings;
mod new;
mod sandbox;
mod support;
mod watch;
