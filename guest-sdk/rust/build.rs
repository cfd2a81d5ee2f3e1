//! Refuses to build atomics that would not be atomic.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let set = |name| std::env::var_os(name).is_some();
    let is_guest = std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32");
    if set("CARGO_FEATURE_ATOMICS") && is_guest && !has_atomics() {
        println!(
            "cargo::error=the feature `atomics` needs `-C target-feature=+atomics`: without it \
             the compiler makes plain loads and stores of atomic operations, and peers lose \
             updates. Set RUSTFLAGS, or in .cargo/config.toml: [target.wasm32-wasip2] \
             rustflags = [\"-C\", \"target-feature=+atomics\"]"
        );
    }
}

/// What stable compilers do not tell in `CARGO_CFG_TARGET_FEATURE`. The last mention
/// of a feature counts.
fn has_atomics() -> bool {
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let mut has = false;
    let mut after_c = false;
    for flag in flags.split('\x1f') {
        let option = match flag.strip_prefix("-C").or(flag.strip_prefix("--codegen=")) {
            Some(option) => option.trim_start(),
            None if after_c => flag,
            None => "",
        };
        after_c = matches!(flag, "-C" | "--codegen");
        for feature in option
            .strip_prefix("target-feature=")
            .unwrap_or("")
            .split(',')
        {
            match feature {
                "+atomics" => has = true,
                "-atomics" => has = false,
                _ => {}
            }
        }
    }
    has
}
