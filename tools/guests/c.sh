# C: a clang for WebAssembly, with a C library. Read by tools/setup-guests.
# shellcheck shell=bash

# Of Debian's, what was tried. Older ones look for their runtime library where Debian does
# not put it, and know fewer options.
readonly CLANG_OF_DEBIAN=(22)

setup_c() {
    local clang found=0
    if [[ -n ${WASI_SDK_PATH:-} ]]; then
        clang=$WASI_SDK_PATH/bin/clang
        [[ -x $clang ]] || die c "WASI_SDK_PATH has no bin/clang: $WASI_SDK_PATH"
        accept_clang "$clang" "$WASI_SDK_PATH/bin" ||
            die c "the clang of WASI_SDK_PATH does not do: $(reason c)" "all of its output is in $CACHE/log/try-c.log"
        return
    fi
    wasi_libc
    while read -r clang; do
        found=1
        if accept_clang "$clang" "$(component_linker)" "$CACHE/wasi-libc/usr"; then return; fi
        say c "$clang ($(version_of "$clang")) does not do: $(reason c)"
    done < <(installed_clangs)
    ((found)) || say c "no clang is installed"
    unpacked_clang
}

# Every clang in PATH, the newest first, each once.
installed_clangs() {
    local name path
    { compgen -c clang- | grep -E '^clang-[0-9]+$' | sort -t- -k2,2nr -u; echo clang; } |
        while read -r name; do
            path=$(command -v "$name") && printf '%s %s\n' "$(readlink -f "$path")" "$path"
        done | awk '!seen[$1]++ { print $2 }'
}

version_of() { "$1" --version 2>/dev/null | grep -oE -m1 'version [^ ]+' || echo 'which does not start'; }

# Tries a clang, and settles for it.
# accept_clang CLANG FOLDER-OF-COMPONENT-LINKER [SYSROOT [WASM-LD]]
accept_clang() {
    local clang=$1 linker=${4:-}
    [[ -n $linker ]] || linker=$("$clang" -print-prog-name=wasm-ld 2>/dev/null) || linker=
    mkdir -p "$CACHE/bin"
    c_wrapper "$CACHE/bin/guest-cc.new" "$clang" "$2" ${3:+--sysroot="$3"}
    GUEST_CC=$CACHE/bin/guest-cc.new GUEST_WASM_LD=$linker
    tried c try_c "$(readlink -f "$clang")" "$2/wasm-component-ld" "$linker" || return 1
    mv -f "$CACHE/bin/guest-cc.new" "$CACHE/bin/guest-cc"
    say c "clang $(version_of "$clang") is $clang"
    settings c POSIX_IPC_GUEST_CC="$CACHE/bin/guest-cc" POSIX_IPC_GUEST_SYSROOT="${3:-}" \
        POSIX_IPC_GUEST_CLANG="$clang" POSIX_IPC_GUEST_WASM_LD="$linker"
}

# A program, with the options of guest-sdk/c; and a shared library.
try_c() {
    cat >"$1/program.c" <<'END'
#include <stdio.h>
#include <wasm_simd128.h>
static _Atomic int words;
v128_t pair(v128_t a) { return wasm_i32x4_add(a, a); }
int main(void) { words++; return puts("hello") < 0; }
END
    cat >"$1/library.c" <<'END'
#include <string.h>
unsigned long library(const char *text) { return strlen(text); }
END
    local options=(-O2 -matomics -msimd128 -mno-bulk-memory -mno-bulk-memory-opt)
    "$GUEST_CC" "${options[@]}" "$1/program.c" -o "$1/program.wasm" \
        -lwasi-emulated-getpid -lwasi-emulated-process-clocks -lwasi-emulated-signal &&
        "$GUEST_CC" "${options[@]}" -fPIC -c "$1/library.c" -o "$1/library.o" &&
        "$GUEST_WASM_LD" -shared --experimental-pic "$1/library.o" -o "$1/library.so"
}

unpacked_clang() {
    local version package= folder
    local advice="unpack a wasi-sdk and set WASI_SDK_PATH to where it is"
    debian_view c "$advice"
    for version in "${CLANG_OF_DEBIAN[@]}"; do
        package=libclang-rt-$version-dev-wasm32
        if debian_has "$package"; then break; fi
        say c "Debian $CODENAME does not offer $package"
        package=
    done
    [[ -n $package ]] || die c "Debian $CODENAME offers no clang that was tried" "$advice"
    CLANG_VERSION=$version
    made c "$CACHE/clang" "clang-$version of $CODENAME" make_clang clang_works
}

make_clang() {
    local version=$CLANG_VERSION
    say c "unpacking clang-$version of Debian, 45 MB"
    debian_unpack c "$1" "clang-$version" "lld-$version" "libclang-common-$version-dev" \
        "libclang-rt-$version-dev-wasm32" -- "libllvm$version" "libclang-cpp$version"
}

clang_works() {
    local bin=$1/usr/lib/llvm-$CLANG_VERSION/bin
    debian_program "$CACHE/bin/guest-clang" "$1" "$bin/clang"
    debian_program "$CACHE/bin/guest-wasm-ld" "$1" "$bin/wasm-ld"
    accept_clang "$CACHE/bin/guest-clang" "$(component_linker)" "$CACHE/wasi-libc/usr" \
        "$CACHE/bin/guest-wasm-ld"
}

# Unpacked even where the package is installed: that one may be older than the target.
wasi_libc() {
    local package=wasi-libc
    [[ -e $CACHE/wasi-libc/usr/lib/$TARGET/libc.a ]] && return
    debian_view c "unpack a wasi-sdk and set WASI_SDK_PATH to where it is"
    [[ $CODENAME != bookworm ]] || package=wasi-libc/bookworm-backports
    rm -rf "$CACHE/wasi-libc" "$CACHE/wasi-libc.partial"
    debian_unpack c "$CACHE/wasi-libc.partial" "$package"
    [[ -e $CACHE/wasi-libc.partial/usr/lib/$TARGET/libc.a ]] ||
        die c "Debian's wasi-libc has no $TARGET" "unpack a wasi-sdk and set WASI_SDK_PATH to where it is"
    mv "$CACHE/wasi-libc.partial" "$CACHE/wasi-libc"
}

# The folder of wasm-component-ld, by which clang makes a component of what it linked.
component_linker() {
    local folder
    if have rustc; then
        folder=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin
        if [[ -x $folder/wasm-component-ld ]]; then
            echo "$folder"
            return
        fi
    fi
    have wasm-component-ld || die c "wasm-component-ld is neither in the Rust toolchain nor in PATH" \
        "use a Rust toolchain of rustup, which brings it, or run \`cargo install wasm-component-ld\`"
    dirname "$(command -v wasm-component-ld)"
}

# c_wrapper SCRIPT CLANG FOLDER-OF-LINKER [OPTION]
c_wrapper() {
    replace "$1" 755 <<END
#!/bin/sh
# Written by tools/setup-guests: a C compiler for guests.
PATH=$(quoted "$3"):\$PATH
export PATH
exec $(quoted "$2") --target=$TARGET${4:+ $(quoted "$4")} "\$@"
END
}
