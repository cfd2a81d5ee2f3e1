//! What a call to the host is on a target that has no such host. Programs for it are checked,
//! so that editors and documentation work, but not linked: the name of a function that nobody
//! has says why.

#![allow(unsafe_code)]

#[cfg(not(test))]
unsafe extern "C" {
    #[link_name = "posix-ipc-guest is for WebAssembly components: build with --target wasm32-wasip2"]
    safe fn wrong_target() -> !;
}

/// The tests of the crate itself are for this machine, and come no further than this.
#[cfg(test)]
fn wrong_target() -> ! {
    unreachable!("calls need a host of posix:ipc")
}

pub(crate) fn call() -> ! {
    wrong_target()
}
