//! The SDK keeps its bindings to itself, and does not let a guest say what makes no
//! sense. Some tests have to, so the guest has the same bindings once more.

use std::path::Path;
use std::{env, fs};

fn main() {
    let source = "../../guest-sdk/rust/src/bindings.rs";
    println!("cargo::rerun-if-changed={source}");
    let bindings = fs::read_to_string(source).expect("the SDK has bindings");
    // The linker joins sections of one name, and those that describe the world must
    // stay two.
    let name = ":encoded world\"";
    assert_eq!(bindings.matches(name).count(), 1);
    let bindings = bindings.replace(name, ":encoded world of the probe\"");
    let bindings = bindings.replace("crate::native::call()", "unreachable!()");
    let folder = env::var_os("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&folder).join("bindings.rs"), bindings).expect("can be written");
}
