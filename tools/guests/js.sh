# JavaScript: its runtime is a program in Rust around an engine in C, and needs no more than
# those. What npm has is for a check of declarations only. Read by tools/setup-guests.
# shellcheck shell=bash

readonly TYPESCRIPT=typescript@5.9.3

setup_js() {
    if ! have npm; then
        say js "there is no npm, so the declarations for TypeScript cannot be checked here"
        settings js POSIX_IPC_GUEST_TSC=
        return
    fi
    made js "$CACHE/js" "$TYPESCRIPT" make_js js_works
    settings js POSIX_IPC_GUEST_TSC="$CACHE/js/node_modules/.bin/tsc"
}

make_js() {
    logged js js-install npm install --prefix "$1" --no-audit --no-fund "$TYPESCRIPT"
}

js_works() {
    local file code=0
    file=$(mktemp --suffix .ts)
    echo 'export const words: number = 1;' >"$file"
    "$1/node_modules/.bin/tsc" --noEmit --strict "$file" >"$CACHE/log/try-js.log" 2>&1 || code=1
    rm -f "$file"
    if ((code)); then return 1; fi
    say js "$TYPESCRIPT is in $1"
}
