#!/usr/bin/env bash
# Puts built programs into Debian packages, with debhelper: target/deb/*.deb. `make deb` builds the programs before.
#
# RELAIS_BIN_DIR, RELAIS_AGENT_BIN and RELAIS_MANUAL_BIN name other programs than those of `make deb`, to try the
# packaging without release builds.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
target=${CARGO_TARGET_DIR:-$root/target}
bin_dir=${RELAIS_BIN_DIR:-$target/release}
agent=${RELAIS_AGENT_BIN:-$target/agent/relais-agent}
manual=${RELAIS_MANUAL_BIN:-$target/release/packaging-manual}
changelog=packaging/debian/changelog
out=$target/deb

. packaging/need.sh
need dpkg-dev command -v dpkg-buildpackage
need debhelper command -v dh
install_missing

for program in "$bin_dir/relais-hub" "$bin_dir/relais-central" "$bin_dir/relais" "$agent" "$manual"; do
    [ -x "$program" ] || { echo "build-deb.sh: $program is missing: run \`make deb\`" >&2 && exit 1; }
done
own=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
packaged=$(dpkg-parsechangelog -l "$changelog" -S Version)
if [ "$own" != "$packaged" ]; then
    echo "build-deb.sh: Cargo.toml says $own and $changelog says $packaged: write an entry for $own into the changelog" >&2
    exit 1
fi

stage=$target/deb-stage/relais-$packaged
rm -rf "$stage"
mkdir -p "$stage"/{bin,conf,doc} "$out"
cp -r packaging/debian "$stage/debian"
install "$bin_dir"/relais-hub "$bin_dir"/relais-central "$bin_dir"/relais "$agent" "$stage/bin"
# The templates that are built into the programs, which are their defaults.
install -m 644 hub/default.toml "$stage/conf/hub.toml"
install -m 644 northbound/central/default.toml "$stage/conf/central.toml"
install -m 644 device-agent/default.toml "$stage/conf/agent.toml"
"$manual" "$stage"

# Documentation keeps its folders, so that links between pages lead somewhere.
docs() { # docs PACKAGE CRATE NAME…: the pages of these names
    local package=$1 crate=$2 notices=() names=()
    shift 2
    for name; do names+=(-o -path "./$name"); done
    [ "$crate" != hub ] || notices=(hub-ui/web/node_modules svelte uplot)
    mkdir -p "$stage/doc/$package"
    (cd docs && find . -name '*.md' \( -false "${names[@]}" \) -exec cp --parents {} "$stage/doc/$package" \;)
    packaging/notices.py "$crate" ${notices[@]+"${notices[@]}"} >"$stage/doc/$package/third-party.txt"
    echo "doc/$package/*" >"$stage/debian/$package.docs"
}
docs relais-hub hub '*'
docs relais-central northbound-central '*/central.md' '*/install.md'
docs relais northbound-cli '*/relais.md'
docs relais-agent device-agent '*/agent.md' '*/install.md'

(cd "$stage" && dpkg-buildpackage --build=binary --no-sign --jobs=2 >"$stage.log" 2>&1) || {
    tail -n 40 "$stage.log" >&2
    echo "build-deb.sh: dpkg-buildpackage failed; all of it: $stage.log" >&2
    exit 1
}
rm -f "$out"/relais*.deb "$out"/relais_*.{buildinfo,changes}
mv "$target"/deb-stage/relais*_"$packaged"_* "$out"
for deb in "$out"/*.deb; do
    printf '%9d bytes  %s\n' "$(stat -c %s "$deb")" "${deb#"$root"/}"
done
