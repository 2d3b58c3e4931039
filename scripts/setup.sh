#!/usr/bin/env bash
# Installs what Millrace needs from Debian, if it is not there. Silent when there is nothing to do.
set -euo pipefail

# Without these nothing builds or runs.
required=(libpq-dev libssl-dev libsqlite3-dev librdkafka-dev pkg-config postgresql postgresql-client curl python3 python3-venv strace)
# For connectors to come (Iceberg); their absence stops nothing today.
later=(libssl-dev libzstd-dev)

say() { printf 'setup: %s\n' "$*" >&2; }

installed() {
    dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed' && return
    # What counts is the program or header, wherever it came from.
    case $1 in
    pkg-config) command -v pkg-config >/dev/null || command -v pkgconf >/dev/null ;;
    curl | python3 | strace) command -v "$1" >/dev/null ;;
    python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
    postgresql) compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null ;;
    postgresql-client) command -v psql >/dev/null ;;
    *) return 1 ;;
    esac
}

missing() {
    local name
    for name in "$@"; do installed "$name" || printf '%s\n' "$name"; done
}

lists_updated=
update_lists() {
    [ -z "$lists_updated" ] || return 0
    lists_updated=yes
    "${apt[@]}" update >/dev/null || say "apt-get update failed; trying with the package lists there are"
}

mapfile -t need < <(missing "${required[@]}")
mapfile -t nice < <(missing "${later[@]}")

if ((${#need[@]} + ${#nice[@]} > 0)) && command -v apt-get >/dev/null; then
    apt=(env DEBIAN_FRONTEND=noninteractive apt-get -y -qq)
    if [ "$(id -u)" != 0 ]; then
        if sudo -n true 2>/dev/null; then
            apt=(sudo -n "${apt[@]}")
        else
            apt=()
        fi
    fi
fi

if ((${#need[@]} > 0)); then
    if [ -z "${apt+set}" ]; then
        say "this system has no apt-get. Install by hand what Debian calls: ${need[*]}"
        exit 1
    fi
    if ((${#apt[@]} == 0)); then
        say "these packages are missing and you have no rights to install them: ${need[*]}"
        say "type:  sudo apt-get install -y ${need[*]} ${nice[*]}"
        exit 1
    fi
    say "installing ${need[*]}"
    update_lists
    if ! "${apt[@]}" install --no-install-recommends "${need[@]}" >/dev/null; then
        say "apt-get could not install ${need[*]}; its message stands above"
        exit 1
    fi
fi

# Tried once, not at every `make test`.
stamp=${TMPDIR:-/tmp}/millrace-setup-$(id -u)
if ((${#nice[@]} > 0)) && [ -n "${apt+set}" ] && [ ! -e "$stamp" ]; then
    if ((${#apt[@]} > 0)) && update_lists && "${apt[@]}" install --no-install-recommends "${nice[@]}" >/dev/null 2>&1; then
        say "installed ${nice[*]} (for connectors to come)"
    else
        say "not installed, and not needed yet: ${nice[*]}"
    fi
    : >"$stamp"
fi

if ! command -v swift >/dev/null; then
    say "there is no Swift. Install 6.2 or later from https://www.swift.org/install/linux/ and put it into PATH"
    exit 1
fi
version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\)\.\([0-9]*\).*/\1 \2/p' | head -n 1)
read -r major minor <<<"${version:-0 0}"
if ((major < 6 || (major == 6 && minor < 2))); then
    say "Swift ${version/ /.} is too old: 6.2 or later is needed (https://www.swift.org/install/linux/)"
    exit 1
fi

# Foreign readers for the tests, in an environment of their own.
root=$(cd "$(dirname "$0")/.." && pwd)
environment=$root/.venv-test
requirements=$root/Tests/ConverterTests/requirements.txt
if ! cmp -s "$requirements" "$environment/requirements.txt"; then
    say "installing Python packages for tests into .venv-test"
    rm -rf "$environment"
    if ! python3 -m venv "$environment" || ! "$environment/bin/pip" install -q --disable-pip-version-check -r "$requirements"; then
        say "the tests of converters need what $requirements names; the message stands above"
        exit 1
    fi
    cp "$requirements" "$environment/requirements.txt"
fi
