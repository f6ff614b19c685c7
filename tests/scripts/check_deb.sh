#!/usr/bin/env bash
# `make check-deb`: installs the packages of target/deb in a booted Debian 12 of its own, uses what they bring, upgrades,
# removes and purges them. One line for each check; the sums are the last line.
#
# Needs root: for debootstrap, which it installs when missing, and for systemd-nspawn. The downloaded system is kept in
# target/check-deb. RELAIS_DEBIAN_MIRROR names another mirror.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-$PWD/target}
DEBS=$target/deb CACHE=$target/check-deb
WORK=$CACHE/work ROOT=$CACHE/root

if [ "$(id -u)" -ne 0 ]; then
    echo "check-deb needs root, to boot a Debian 12 beside this machine: sudo make check-deb" >&2
    exit 1
fi
for deb in relais-hub relais-central relais relais-agent; do
    compgen -G "$DEBS/${deb}_*.deb" >/dev/null || { echo "there is no $deb in ${DEBS#"$PWD"/}: run \`make deb\`" >&2 && exit 1; }
done

. packaging/need.sh
need debootstrap command -v debootstrap
need systemd-container command -v systemd-nspawn
need systemd command -v systemd-analyze
need lintian command -v lintian
need mandoc command -v mandoc
install_missing

. tests/scripts/deb/results.sh
. tests/scripts/deb/container.sh
. tests/scripts/deb/packages.sh
. tests/scripts/deb/installed.sh
. tests/scripts/deb/working.sh
. tests/scripts/deb/failing.sh
. tests/scripts/deb/life.sh

end() {
    shut_down
    rm -rf "$ROOT" "$WORK"
}
trap end EXIT
rm -rf "$ROOT" "$WORK"
mkdir -p "$WORK"

make_base
check_packages
cp -a "$CACHE/base" "$ROOT"
boot "$ROOT"
check_installation
check_work
check_failures
check_life
finish
