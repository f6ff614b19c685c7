#!/usr/bin/env bash
# `make soak`: the counts too long for every change. Writes tests/soak-summary.md, which is committed.
#
# RELAIS_KILLS (200), RELAIS_SEEDS (2000 of the store), RELAIS_SYNC_SEEDS (10000 of the sync protocol) and
# RELAIS_FUZZ_SECONDS (500 per target) change the counts. The fuzzing is the harness of `make test` with a hundred times
# its inputs: libFuzzer would need a nightly compiler.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/scripts/stages.sh
target=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=never
export RELAIS_TEST_REPORTS=$target/soak-logs/reports.txt
export RELAIS_KILLS=${RELAIS_KILLS:-200}
export RELAIS_SEEDS=${RELAIS_SEEDS:-2000}
sync_seeds=${RELAIS_SYNC_SEEDS:-10000}
fuzz_seconds=${RELAIS_FUZZ_SECONDS:-500}
seed=${RELAIS_SEED:-$(date +%s)}
# To the simulations it would mean one seed in place of many.
unset RELAIS_SEED

kills() {
    RELAIS_SEED=$seed cargo test --workspace --locked --test kill_nine -- --nocapture
}

store_crashes() {
    cargo test --workspace --locked --lib -- --nocapture crash_test
}

sync_runs() {
    RELAIS_SEEDS=$sync_seeds cargo test --workspace --locked --lib -- --nocapture simulation_of
}

write_summary() {
    {
        echo "# The last soak run"
        echo
        echo "Written by \`make soak\`. Date: $(date -u +%Y-%m-%dT%H:%M:%SZ), revision:" \
            "$(git rev-parse --short HEAD 2>/dev/null || echo unknown), seed: $seed, $(nproc) processors," \
            "$(rustc --version)."
        echo
        echo "| stage | what | result | time |"
        echo "|---|---|---|---|"
        local row
        for row in "${SUMMARY[@]}"; do echo "$row"; done
        echo
        echo '```'
        cat "$RELAIS_TEST_REPORTS" 2>/dev/null || true
        echo '```'
    } >tests/soak-summary.md
}

SUMMARY=()
soak() { # soak NAME WHAT COMMAND…: a stage that also gets a row in the summary
    local began=$SECONDS result=ok
    stage "$@" || result=FAILED
    SUMMARY+=("| $1 | $2 | $result | $((SECONDS - began)) s |")
}

begin_stages "$target/soak-logs"
must prepare "install what the tests need" tests/scripts/prepare.sh
must build "tests, relais-hub, relais-central and relais" cargo build --workspace --all-targets --profile test --locked
soak kills "$RELAIS_KILLS kills with signal 9 under four publishers" kills
soak crashes "power cuts of the store, $RELAIS_SEEDS seeds" store_crashes
soak sync "hub, link and central on a virtual clock, $sync_seeds seeds" sync_runs
soak fuzz "$fuzz_seconds s of mutations per target" \
    "$target/debug/fuzz" all --seed "$seed" --seconds "$fuzz_seconds"
grep -hE "^Tally|^power cut at" "$target"/soak-logs/*-crashes.log >>"$RELAIS_TEST_REPORTS" 2>/dev/null || true
grep -ohE "[0-9]+ seeds: .*" "$target"/soak-logs/*-sync.log >>"$RELAIS_TEST_REPORTS" 2>/dev/null || true
grep -h "no failure" "$target"/soak-logs/*-fuzz.log >>"$RELAIS_TEST_REPORTS" 2>/dev/null || true
write_summary
echo
echo "written: tests/soak-summary.md"
finish
