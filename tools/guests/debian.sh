# Debian's packages, unpacked without being installed. Read by tools/setup-guests.
# shellcheck shell=bash

# An apt of our own over the machine's mirrors and keys: it sees the suites that hold the
# tools, whether or not the machine follows them, has lists of today, and leaves the
# machine's alone. debian_view LANGUAGE WHAT-ELSE-TO-DO
debian_view() {
    if ! have apt-get || ! have dpkg || ! grep -q '^ID=debian$' /etc/os-release; then
        die "$1" "the fallback takes packages of Debian, and this is another system" "${@:2}"
    fi
    CODENAME=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    alone apt make_view "$@"
    export APT_CONFIG=$CACHE/apt/apt.conf
}

make_view() {
    local language=$1 apt=$CACHE/apt uri suite release=
    local -A mirrors=()
    if [[ -n $(find "$apt/updated" -mmin -720 2>/dev/null) ]]; then return; fi

    # Not from the lists that apt has: there may be none yet, or not of all suites.
    while read -r uri suite; do
        case $suite in
        "$CODENAME" | stable | oldstable) mirrors[$CODENAME]=$uri ;;
        "$CODENAME"-security | stable-security | oldstable-security) mirrors[$CODENAME-security]=$uri ;;
        esac
    done < <(apt-get update --print-uris 2>/dev/null | sed -n "s,^'\(.*\)/dists/\([^/]*\)/InRelease'.*,\1 \2,p")
    if [[ -z ${mirrors[$CODENAME]:-} || -z ${mirrors[$CODENAME-security]:-} ]]; then
        die "$language" "apt has no source for $CODENAME and $CODENAME-security" \
            "add both to /etc/apt/sources.list.d: the compilers are in the second one"
    fi
    mkdir -p "$apt"/{lists/partial,archives/partial,none}
    for release in "$CODENAME" "$CODENAME-updates" "$CODENAME-backports" "$CODENAME-security"; do
        uri=${mirrors[$release]:-${mirrors[$CODENAME]}}
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $release main"
    done >"$apt/sources.list"
    cat >"$apt/apt.conf" <<END
Dir::State::Lists "$apt/lists";
Dir::Cache "$apt";
Dir::Cache::Archives "$apt/archives";
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "$apt/none";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "$apt/none";
APT::Sandbox::User "root";
Acquire::Languages "none";
END
    logged "$language" apt-update env APT_CONFIG="$apt/apt.conf" apt-get update
    touch "$apt/updated"
    say "$language" "read Debian's package lists ($CODENAME and its -updates, -backports, -security)"
}

# Whether the view offers a package.
debian_has() { [[ -n $(apt-cache show --no-all-versions "$1" 2>/dev/null) ]]; }

# The first dependency of a package whose name matches. debian_depends PACKAGE PATTERN
debian_depends() {
    apt-cache show --no-all-versions "$1" 2>/dev/null |
        sed -n 's/^Depends: //p' | tr -d ' ' | tr ',' '\n' | sed 's/[(|].*//' | grep -E -m1 "^$2\$"
}

# What of the packages, and of the libraries that they need, this machine lacks.
debian_lacking() {
    apt-get --quiet=2 --print-uris --no-install-recommends install "$@" 2>/dev/null |
        sed -n "s/^'[^']*' \([^_]*\)_.*/\1/p"
}

# Unpacks packages, and the libraries that others of them need. The latter are looked up by
# the names of packages of libraries: a compiler's own needs are those of native programs.
# debian_unpack LANGUAGE FOLDER PACKAGE... [-- LIBRARY...]
debian_unpack() {
    local language=$1 folder=$2 debs wanted=()
    shift 2
    while (($#)) && [[ $1 != -- ]]; do
        wanted+=("$1")
        shift
    done
    if (($# > 1)); then
        shift
        mapfile -t -O "${#wanted[@]}" wanted < <(printf '%s\n' "$@"; debian_lacking "$@")
    fi
    debs=$(mktemp -d "$CACHE/apt/debs.XXXXXX")
    mapfile -t wanted < <(printf '%s\n' "${wanted[@]}" | sort -u)
    (cd "$debs" && logged "$language" "$language-download" apt-get download "${wanted[@]}")
    mkdir -p "$folder"
    for deb in "$debs"/*.deb; do dpkg -x "$deb" "$folder"; done
    rm -rf "$debs"
    say "$language" "unpacked ${wanted[*]}"
}

# A script that starts an unpacked program, which finds its libraries only when told where.
# debian_program SCRIPT FOLDER PROGRAM [OPTION...]
debian_program() {
    local path script=$1 folder=$2
    shift 2
    path=$(find "$folder/usr/lib" "$folder/lib" -name 'lib*.so.*' -printf '%h\n' 2>/dev/null | sort -u | paste -sd :) || true
    mkdir -p "${script%/*}"
    replace "$script" 755 <<END
#!/bin/sh
# Written by tools/setup-guests: a program of Debian's, unpacked.
LD_LIBRARY_PATH=$(quoted "$path")\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
exec $(for word; do printf '%s ' "$(quoted "$word")"; done)"\$@"
END
}
