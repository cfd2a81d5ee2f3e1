//! What the fuzz targets check, each a function of bytes that panics if something is
//! wrong. `cargo fuzz` searches for such bytes; `tests/fuzz.rs` tries those that have
//! been found, and some thousands more, in every test run.

pub mod grants;
pub mod ledger;
pub mod names;
mod native;
pub mod plan;
mod text;
