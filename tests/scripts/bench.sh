#!/usr/bin/env bash
# `make bench`: builds with the release profile, measures, prints one table. Results stay in target/bench.
# Words name parts to measure: intake, commits, reopen, hub, agent, page; none means all.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-$PWD/target}
mkdir -p "$target/bench"
tests/scripts/prepare.sh >"$target/bench/prepare.log" 2>&1 || { tail -n 20 "$target/bench/prepare.log"; exit 1; }
{
    # `&&` is needed: `set -e` does not reach in front of a `||`.
    cargo build --release --locked --package hub --package northbound-central --package site-bench \
        && cargo build --profile agent --locked --package device-agent
} >"$target/bench/build.log" 2>&1 || { tail -n 40 "$target/bench/build.log"; exit 1; }
export RELAIS_AGENT_BIN=${RELAIS_AGENT_BIN:-$target/agent/relais-agent}
{
    echo "date:      $(date -u +%Y-%m-%dT%H:%M:%SZ)"
    echo "machine:   $(nproc) processors, $(awk '/MemTotal/ {printf "%.1f GB", $2 / 1e6}' /proc/meminfo), $(uname -sr)"
    echo "disk:      $(df --output=source,fstype "$target/bench" | tail -n 1 | xargs)"
    echo "load:      $(cut -d' ' -f1-3 /proc/loadavg) (device bytes are the disk's own count: let the machine be quiet)"
    echo "reference: $("$target/release/bench" versions 2>&1)"
    echo
} | tee "$target/bench/machine.txt"
"$target/release/bench" "$@"
echo
echo "kept in ${target#"$PWD"/}/bench: machine.txt, results.txt; a ratio is ours to the reference's"
