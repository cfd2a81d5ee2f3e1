# What the set-up of each language uses. Read by tools/setup-guests.
# shellcheck shell=bash

say() { printf '%-8s%s\n' "$1:" "$2"; }

# die LANGUAGE WHAT [WHAT-TO-DO...]
die() {
    printf '%-8s%s\n' "$1:" "error: $2" >&2
    shift 2
    if (($#)); then printf '        %s\n' "$@" >&2; fi
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Runs a command of which only a failure is worth reading. What takes long says so.
# logged LANGUAGE LOG COMMAND...
logged() {
    local language=$1 log=$CACHE/log/$2.log name=$2 clock code=0
    shift 2
    mkdir -p "$CACHE/log"
    progress "$language" "$name" "$log" &
    clock=$!
    "$@" >"$log" 2>&1 </dev/null || code=$?
    kill "$clock" 2>/dev/null
    wait "$clock" 2>/dev/null || true
    if ((code)); then
        tail -n 20 "$log" >&2
        die "$language" "failed: $*" "its output is in $log"
    fi
}

# Tells now and then how far a command is: a stranger cannot tell a long one from one
# that hangs.
progress() {
    local start=$SECONDS crates
    # The sleep ends with the shell.
    trap 'kill $! 2>/dev/null; exit' TERM
    while true; do
        sleep 15 &
        wait $!
        crates=$(grep -c '^ *Compiling ' "$3" 2>/dev/null) || true
        say "$1" "$2 takes long: $((SECONDS - start)) s so far$([[ $crates == 0 ]] || echo ", $crates crates compiled")"
    done
}

# Replaces a file in one step, so that no reader ever sees half of it.
replace() {
    local new
    new=$(mktemp "$1.XXXXXX")
    cat >"$new"
    chmod "$2" "$new"
    mv -f "$new" "$1"
}

# Quotes a word so that sh reads it back as it is.
quoted() { printf "'%s'" "${1//\'/\'\\\'\'}"; }

# One process at a time. alone LOCK COMMAND...
alone() {
    local lock=$CACHE/$1.lock
    shift
    if ! have flock; then
        "$@"
        return
    fi
    exec 8>"$lock"
    flock 8
    "$@"
    exec 8>&-
}

# Keeps a language's variables, and puts those of all languages into env.sh: a later run
# for one language must not forget the others. settings LANGUAGE NAME=VALUE...
settings() {
    local language=$1 setting
    shift
    mkdir -p "$CACHE/env.d"
    for setting in "$@"; do
        echo "export ${setting%%=*}=$(quoted "${setting#*=}")"
    done | replace "$CACHE/env.d/$language.sh" 644
    alone env write_env
}

write_env() {
    {
        echo "# Written by tools/setup-guests: where the tools for guests are. Plain sh."
        cat "$CACHE"/env.d/*.sh
    } | replace "$CACHE/env.sh" 644
}

# Makes a folder of the cache, unless it is there and works. What was cut short, was made of
# something else or does not work any more is made anew.
# made LANGUAGE FOLDER OF MAKE WORKS, where the last two are functions that get FOLDER
made() {
    local language=$1 folder=$2 of=$3 make=$4 works=$5
    if [[ "$(cat "$folder/made-of" 2>/dev/null)" == "$of" ]]; then
        if "$works" "$folder"; then return; fi
        say "$language" "$folder is broken and is made anew"
    fi
    rm -rf "$folder"
    mkdir -p "$folder"
    "$make" "$folder"
    "$works" "$folder" ||
        die "$language" "what is in $folder does not work: $(reason "$language")" \
            "all of its output is in $CACHE/log/try-$language.log"
    # Last, so that a set-up that is cut short does not look like one that is complete.
    echo "$of" >"$folder/made-of"
}

# Whether a tool does what it is for: a function makes `program.wasm` in the folder that it
# gets, a component that prints "hello". It runs if this tree has built posix-ipc. What
# worked is remembered until the tool or the trial changes.
# tried LANGUAGE FUNCTION TOOL...
tried() {
    local language=$1 try=$2 identity host work code=0 log=$CACHE/log/try-$1.log
    shift 2
    identity=$(stat -Lc '%n %s %Y' "$@" "tools/guests/$language.sh" 2>/dev/null | cksum)
    host=$(built_host)
    case $(cat "$CACHE/tried/$language" 2>/dev/null) in
    "$identity ran") return ;;
    "$identity") [[ -n $host ]] || return 0 ;;
    esac
    mkdir -p "$CACHE/tried"
    work=$(mktemp -d)
    { "$try" "$work" && is_component "$work/program.wasm" &&
        if [[ -n $host ]]; then runs "$host" "$work/program.wasm"; fi; } >"$log" 2>&1 </dev/null || code=1
    rm -rf "$work"
    if ((code)); then return 1; fi
    echo "$identity${host:+ ran}" >"$CACHE/tried/$language"
}

# The line that says most about why a trial failed.
reason() {
    local log=$CACHE/log/try-$1.log
    grep -m1 -iE 'error|unknown|cannot|not found|no such' "$log" || tail -n 1 "$log"
}

# The posix-ipc of this tree, if it is built.
built_host() {
    local host
    for host in target/release/posix-ipc target/debug/posix-ipc; do
        if "$host" --version >/dev/null 2>&1; then
            echo "$host"
            return
        fi
    done
}

is_component() {
    [[ $(od -An -tx1 -N8 "$1" | tr -d ' ') == 0061736d0d000100 ]] ||
        { echo "error: $1 is not a component" && false; }
}

runs() {
    local output
    output=$(timeout 120 "$1" run "$2") && [[ $output == hello ]] ||
        { echo "error: $1 did not run the program; it printed: $output" && false; }
}

# One of the project's own tools for guests, built from the source tree if that has changed:
# guest-sdk/NAME makes $CACHE/bin/posix-ipc-NAME. guest_tool LANGUAGE NAME
guest_tool() { alone "$2" make_guest_tool "$@"; }

make_guest_tool() {
    local tool=$CACHE/bin/posix-ipc-$2 source=guest-sdk/$2 stamp
    have cargo || die "$1" "there is no cargo, and a tool for guests is written in Rust" "install Rust with rustup"
    stamp=$(cat "$source"/{Cargo.toml,Cargo.lock,src/*.rs} {wit,wit/deps,guest-sdk/wit/deps}/*.wit | cksum)
    if [[ -x $tool && "$(cat "$CACHE/$2.stamp" 2>/dev/null)" == "$stamp" ]]; then return; fi
    say "$1" "building posix-ipc-$2, $(grep -c '^name = ' "$source/Cargo.lock") crates"
    logged "$1" "$2" env -u RUSTC -u RUSTFLAGS cargo build --release --locked \
        --manifest-path "$source/Cargo.toml" --target-dir "$CACHE/$2"
    mkdir -p "$CACHE/bin"
    replace "$tool" 755 <"$CACHE/$2/release/posix-ipc-$2"
    rm -rf "${CACHE:?}/$2"
    echo "$stamp" >"$CACHE/$2.stamp"
}

# A Python environment with one package. python_with LANGUAGE FOLDER PACKAGE==VERSION WORKS
python_with() {
    local language=$1
    have python3 || die "$language" "there is no python3" \
        "install Python 3 with its modules venv and pip; on Debian: apt-get install python3-venv python3-pip"
    # Debian's Python has the module venv, but not what makes it work.
    python3 -c 'import venv, ensurepip' 2>/dev/null || die "$language" "python3 cannot make environments" \
        "install its modules venv and pip; on Debian: apt-get install python3-venv python3-pip"
    PYTHON_OF=$1 PACKAGE=$3
    made "$language" "$2" "$3" "make_python" "$4"
}

make_python() {
    local name=${1##*/}
    logged "$PYTHON_OF" "$name-venv" python3 -m venv "$1"
    logged "$PYTHON_OF" "$name-install" "$1/bin/python" -m pip install --quiet \
        --disable-pip-version-check "$PACKAGE"
}
