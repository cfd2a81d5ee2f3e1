# Python: what makes a component of it, and lets that use mapped memory. Read by tools/setup-guests.
# shellcheck shell=bash

readonly COMPONENTIZE_PY=componentize-py==0.25.1

setup_python() {
    python_with python "$CACHE/python" "$COMPONENTIZE_PY" python_works
    guest_tool python bulk-memory
    settings python POSIX_IPC_COMPONENTIZE_PY="$CACHE/python/bin/componentize-py" \
        POSIX_IPC_BULK_MEMORY="$CACHE/bin/posix-ipc-bulk-memory"
}

python_works() {
    COMPONENTIZER=$1/bin/componentize-py
    "$COMPONENTIZER" --version >"$CACHE/log/try-python.log" 2>&1 || return 1
    tried python try_python "$COMPONENTIZER" || return 1
    say python "$COMPONENTIZE_PY is in $1"
}

# A component with nothing but `run`, so that any build of posix-ipc runs it.
try_python() {
    mkdir -p "$1/wit/deps" "$1/environment/lib/python3/site-packages"
    cp guest-sdk/wit/deps/cli.wit "$1/wit/deps/"
    echo 'package posix:trial; world trial { export wasi:cli/run@0.2.12; }' >"$1/wit/trial.wit"
    cat >"$1/app.py" <<'END'
import wit_world.exports
class Run(wit_world.exports.Run):
    def run(self): print("hello")
END
    VIRTUAL_ENV=$1/environment "$COMPONENTIZER" --quiet --wit-path "$1/wit" --world posix:trial/trial \
        componentize --python-path "$1" app --output "$1/program.wasm"
}
