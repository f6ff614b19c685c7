#!/usr/bin/env bash
# `make test`: every stage a change must pass. See stages.sh for how stages are run, timed and counted.
#
# The workspace is compiled once for all tests (profile `test`, all targets, so that features are the same
# everywhere); clippy and rustdoc share one more pass that generates no code.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/scripts/stages.sh
target=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=never
export RELAIS_TEST_REPORTS=$target/test-logs/reports.txt

run_tests() { # run_tests TARGET_SELECTION…
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --config-file tests/nextest.toml --workspace --locked --no-fail-fast "$@"
    else
        cargo test --workspace --locked --no-fail-fast "$@"
    fi
}

# In the functions below `&&` is needed: `set -e` does not reach into a stage.

unit_tests() {
    local selection
    # shellcheck disable=SC2086  # one word per flag
    selection=$(python3 tests/scripts/targets.py beside) && run_tests --lib --bins $selection
}

scenarios() {
    local selection
    # shellcheck disable=SC2086
    selection=$(python3 tests/scripts/targets.py scenarios) && run_tests $selection
}

# tokio-modbus checks more in debug builds than in those that people run.
release_faults() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --config-file tests/nextest.toml -p southbound --release --locked --test modbus_faults
    else
        cargo test -p southbound --release --locked --test modbus_faults
    fi
}

documentation() {
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked && python3 tests/scripts/check_links.py
}

begin_stages "$target/test-logs"
must prepare "install what the tests need" tests/scripts/prepare.sh
must page "the technician's page: types, unit tests, build" hub-ui/web/scripts/build.sh --check
stage format "cargo fmt --check" cargo fmt --all --check || true
stage sources "licences, sources, banned crates, duplicates" python3 tests/scripts/check_dependencies.py || true
stage clippy "clippy on all targets, warnings are errors" \
    cargo clippy --workspace --all-targets --locked --keep-going -- -D warnings || true
stage units "systemd understands the services, and none is exposed" tests/scripts/check_units.sh || true
must build "tests, relais-hub, relais-central and relais" \
    cargo build --workspace --all-targets --profile test --locked
stage unit "unit and property tests, dependency arrows" unit_tests || true
stage release "every fault of a Modbus device, as optimised as what people run" release_faults || true
stage doctests "examples in the documentation" cargo test --workspace --locked --doc || true
stage scenarios "real binaries on loopback" scenarios || true
stage fuzz "corpus replay and mutations of hostile bytes" run_tests --test fuzz_short || true
stage docs "cargo doc with warnings as errors, links in *.md" documentation || true
finish
