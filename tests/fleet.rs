//! Several programs together, native and sandboxed: what shell scripts do with objects, and
//! programs in a namespace of their own.

mod exec;
mod ledger;
mod objects;
mod up;
