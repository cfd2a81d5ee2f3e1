//! The JavaScript runtime component: runs the script that its first argument names.

#[rustfmt::skip]
#[allow(dead_code)]
mod bindings;

mod fast;
mod handle;
mod host;
mod modules;
mod script;
mod view;

fn main() {
    let code = script::main();
    host::exit(code);
}
