//! Every system call of a host fails once, and a host is killed at any of them. After each,
//! nothing may be left that `posix-ipc reap` does not remove, nobody else's object may be
//! touched, and no host may panic or hang.
//!
//! `cargo test` runs a sample. `make faults` makes every call fail with every error, and
//! `make kills` kills ten thousand hosts.

mod calls;
mod injected;
mod kills;
mod scenario;
