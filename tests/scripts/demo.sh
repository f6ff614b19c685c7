#!/usr/bin/env bash
# `make demo`: installs what is missing, builds the page and the programs, and runs a whole simulated site.
# DEMO_KEEP=1 goes on with the data of the last time; DEMO_PROFILE=debug builds faster, and runs slower.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-$PWD/target}
export DEBIAN_FRONTEND=noninteractive

case ${DEMO_PROFILE:=release} in
    release) profile=(--release) ;;
    debug) profile=() ;;
    *)
        echo "DEMO_PROFILE is release or debug, not $DEMO_PROFILE" >&2
        exit 2
        ;;
esac
options=()
case ${DEMO_KEEP:-} in
    '' | 0) ;;
    1) options+=(--keep) ;;
    *)
        echo "DEMO_KEEP is 1 to keep the data of the last time, or 0, not $DEMO_KEEP" >&2
        exit 2
        ;;
esac

# What Debian has.
PATH=$PATH:/usr/sbin:/sbin
missing=()
need() { # need PACKAGE COMMAND: the package is missing when there is no such command
    command -v "$2" >/dev/null || missing+=("$1")
}
need build-essential cc
need e2fsprogs mkfs.ext4
need mount mount
if [ "${#missing[@]}" -gt 0 ]; then
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "missing: ${missing[*]}" >&2
        echo "install them first, on Debian: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    echo "--> installing ${missing[*]}"
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

# What it has not, or too old.
if ! command -v cargo >/dev/null; then
    echo "Rust is missing (1.90 or newer): https://rustup.rs installs it; then open a new terminal" >&2
    exit 1
fi

if [ "$DEMO_PROFILE" = debug ] && ! command -v npm >/dev/null; then
    echo "--> without Node.js there is no page, only the API"
else
    echo "--> the technician's page"
    hub-ui/web/scripts/build.sh
fi
echo "--> the programs ($DEMO_PROFILE; the first time takes some minutes)"
cargo build --locked "${profile[@]}" \
    --package hub --package northbound-central --package northbound-cli --package relais-sim
echo
exec "$target/$DEMO_PROFILE/relais-demo" --dir "$target/demo" "${options[@]}"
