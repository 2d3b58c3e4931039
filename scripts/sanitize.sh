#!/usr/bin/env bash
# Unit tests and fuzzers under the address and the thread sanitizer: `make sanitize`, `make sanitize KIND=thread`.
# Each has a build folder of its own. What a sanitizer reports ends the run with an error.
set -euo pipefail
cd "$(dirname "$0")/.."
swift=${SWIFT:-swift}
tests='MillraceCoreTests|MillraceLogTests|MillraceRuntimeTests|PostgresConnectorTests|EnvelopeTests|FileConnectorTests|FuzzTests'

# Swift's runtime and libpq keep what they allocate once: leaks are not looked for.
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=0
export TSAN_OPTIONS="suppressions=$PWD/scripts/tsan-suppressions.txt:exitcode=66"

for kind in ${KIND:-address thread}; do
    options=(--sanitize="$kind" --scratch-path ".build-$kind")
    printf '\n== %s sanitizer  (%d s)\n' "$kind" "$SECONDS"
    "$swift" build --build-tests "${options[@]}"
    "$swift" test --skip-build --disable-xctest "${options[@]}" --filter "$tests"
done
printf '\n== no findings  (%d s)\n' "$SECONDS"
