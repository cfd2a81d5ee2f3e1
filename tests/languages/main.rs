//! Guests in each of the languages, and what the pages show of them.
#![cfg(feature = "cli")]

mod c;
mod examples;
mod go;
mod javascript;
mod python;
mod readme;
mod relay;
#[path = "../support/mod.rs"]
mod support;
