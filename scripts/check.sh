#!/usr/bin/env bash
# The steps of `make check`, each announced with the time that has passed, stopping at the first that fails.
set -euo pipefail
cd "$(dirname "$0")/.."
swift=${SWIFT:-swift}
read -r -a paths <<<"${SWIFT_PATHS:-Package.swift Sources connectors migrations Tests}"
begun=$SECONDS

step() {
    local name=$1
    shift
    printf '\n== %s  (%d:%02d)\n   %s\n' "$name" $(((SECONDS - begun) / 60)) $(((SECONDS - begun) % 60)) "$*"
    if ! "$@"; then
        printf '\n== failed: %s\n' "$name" >&2
        exit 1
    fi
}

step "format" "$swift" format lint --strict -p -r "${paths[@]}"
step "build: warnings are errors, imports are declared" \
    "$swift" build --build-tests --explicit-target-dependency-import-check error
step "unit tests" "$swift" test --skip-build --disable-xctest --skip IntegrationTests --skip '^SimulationTests\.'
step "simulation: 2,000 seeds" "$swift" test --skip-build --disable-xctest --filter '^SimulationTests\.'
step "integration tests" "$swift" test --skip-build --disable-xctest --filter IntegrationTests
step "system calls that fail or kill: a sample" \
    python3 faults/crash.py --millrace "$("$swift" build --show-bin-path)/millrace" --seconds 90
printf '\n== all is well  (%d:%02d)\n' $(((SECONDS - begun) / 60)) $(((SECONDS - begun) % 60))
