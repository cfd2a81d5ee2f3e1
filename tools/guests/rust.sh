# Rust: a compiler with a standard library for guests. Read by tools/setup-guests.
# shellcheck shell=bash

has_std() { compgen -G "$1/lib/rustlib/$TARGET/lib/libstd-*.rlib" >/dev/null; }

setup_rust() {
    local sysroot
    if ! have cargo || ! have rustc; then
        die rust "cargo and rustc are not in PATH" "install Rust with rustup"
    fi
    sysroot=$(rustc --print sysroot)
    if [[ ${POSIX_IPC_NO_RUSTUP:-} == 1 ]]; then
        say rust "leaving rustup's $TARGET aside, as POSIX_IPC_NO_RUSTUP asks"
    elif rustup_std "$sysroot"; then
        if accept_rust rustc "$sysroot"; then
            settings rust POSIX_IPC_GUEST_TARGET=$TARGET POSIX_IPC_GUEST_RUSTC=
            return
        fi
        say rust "the $TARGET of $sysroot does not do: $(reason rust)"
    else
        say rust "rustup cannot add $TARGET here"
    fi
    rust_from_debian "$sysroot"
    settings rust POSIX_IPC_GUEST_TARGET=$TARGET POSIX_IPC_GUEST_RUSTC="$CACHE/bin/guest-rustc"
}

# Rustup's standard library, which is added if it is not there.
rustup_std() {
    if has_std "$1"; then return; fi
    # Where the download servers cannot be reached, rustup may take minutes to say so.
    have rustup && timeout 90 rustup target add $TARGET >"$CACHE/log/rustup.log" 2>&1 </dev/null && has_std "$1" &&
        say rust "rustup added $TARGET"
}

# accept_rust COMPILER SYSROOT
accept_rust() {
    GUEST_RUSTC=$1
    tried rust try_rust "$2"/lib/rustlib/$TARGET/lib/libstd-*.rlib || return 1
    say rust "$("$1" --version | sed 's/ (.*//') with $TARGET is in $2"
}

# A program, with atomics as guests that map memory are built.
try_rust() {
    cat >"$1/program.rs" <<'END'
use std::sync::atomic::{AtomicU32, Ordering};
static WORDS: AtomicU32 = AtomicU32::new(0);
fn main() { if WORDS.fetch_add(1, Ordering::SeqCst) == 0 { println!("hello") } }
END
    "$GUEST_RUSTC" --target $TARGET -O -C target-feature=+atomics "$1/program.rs" -o "$1/program.wasm"
}

# Debian's current Rust compiler, unpacked into the cache, with a standard library for the
# target that is built once. Not rustup's compiler with Debian's library: a standard
# library builds only with the compiler of its own version.
rust_from_debian() {
    local std llvm
    RUSTUP_SYSROOT=$1
    RUST_HOST=$(rustc -vV | sed -n 's/^host: //p')
    debian_view rust "make \`rustup target add $TARGET\` work instead"
    # The names have the version in them, and it moves with Debian's updates.
    if ! std=$(debian_depends libstd-rust-web-dev 'libstd-rust-web-[0-9.]+') ||
        ! llvm=$(debian_depends "$std" 'libllvm[0-9]+'); then
        die rust "Debian $CODENAME has no rustc-web" "make \`rustup target add $TARGET\` work instead"
    fi
    RUST_STD=$std RUST_LLVM=$llvm
    made rust "$CACHE/rust" "$std of $CODENAME" make_rust rust_works
}

make_rust() {
    local libc=wasi-libc lib=$1/usr/lib/rustlib/$TARGET/lib
    # Bookworm's own is older than the target.
    [[ $CODENAME != bookworm ]] || libc=wasi-libc/bookworm-backports
    say rust "unpacking Debian's compiler, 100 MB"
    debian_unpack rust "$1" rustc-web libstd-rust-web-dev "$RUST_STD" rust-web-src "$libc" -- "$RUST_LLVM"
    mkdir -p "$lib/self-contained"
    cp "$1/usr/lib/$TARGET"/{libc.a,crt1-command.o,crt1-reactor.o} "$lib/self-contained/"
    link_rust_linkers "$1"
    debian_program "$CACHE/bin/guest-rustc" "$1" "$1/usr/bin/rustc"
    build_std "$1"
    rm -rf "$1/usr/src" "$1/usr/lib/rustlib/src"
}

rust_works() {
    # Again on each run: the active toolchain, whose linkers these are, may have changed.
    link_rust_linkers "$1"
    debian_program "$CACHE/bin/guest-rustc" "$1" "$1/usr/bin/rustc"
    accept_rust "$CACHE/bin/guest-rustc" "$1/usr"
}

# The linkers of the active toolchain. Links, not copies: they load libraries by a path
# that is relative to themselves.
link_rust_linkers() {
    local from=$RUSTUP_SYSROOT/lib/rustlib/$RUST_HOST/bin to=$1/usr/lib/rustlib/$RUST_HOST/bin tool
    mkdir -p "$to"
    for tool in rust-lld wasm-component-ld gcc-ld; do
        [[ -e $from/$tool ]] ||
            die rust "$from has no $tool" "use a Rust toolchain of rustup, which brings it"
        ln -sfn "$from/$tool" "$to/$tool"
    done
}

build_std() {
    local work=$CACHE/std-build
    rm -rf "$work"
    mkdir -p "$work/src"
    : >"$work/src/lib.rs"
    cat >"$work/Cargo.toml" <<'END'
[package]
name = "empty"
version = "0.0.0"
edition = "2024"

[profile.release]
panic = "abort"

[workspace]
END
    say rust "building the standard library for $TARGET, about a minute"
    # The bootstrap switch opens -Z on a stable compiler, for this one build. A user's own
    # flags would end up in every guest.
    logged rust std-build env -u CARGO_ENCODED_RUSTFLAGS RUSTFLAGS= RUSTC_BOOTSTRAP=1 \
        RUSTC="$CACHE/bin/guest-rustc" RUSTC_WRAPPER='' CARGO_TARGET_DIR="$work/target" \
        cargo build --release --manifest-path "$work/Cargo.toml" --target $TARGET \
        -Zbuild-std=std,panic_abort,proc_macro
    rm -f "$work/target/$TARGET/release/deps"/libempty-*
    cp "$work/target/$TARGET/release/deps"/*.rlib "$1/usr/lib/rustlib/$TARGET/lib/"
    rm -rf "$work"
}
