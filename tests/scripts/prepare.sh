#!/usr/bin/env bash
# Installs what the tests need beyond Rust and Node: Debian packages (a broker and a browser among them), MQTT clients and a Modbus
# server in a Python environment of their own, a Modbus server on Debian's libmodbus, and what drives the browser.
# Installs only what is missing, starts no service, asks nothing; without root it says what to install.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
venv=$target/venv
export DEBIAN_FRONTEND=noninteractive

missing=()
need() { # need PACKAGE COMMAND…: the package is missing when the command fails
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}
need build-essential cc --version
need chromium test -x "${RELAIS_CHROMIUM:-/usr/bin/chromium}"
need fonts-liberation test -d /usr/share/fonts/truetype/liberation
need libmodbus-dev test -e /usr/include/modbus/modbus.h
need mosquitto test -x /usr/sbin/mosquitto
need mosquitto-clients command -v mosquitto_pub
need python3 python3 --version
need python3-venv python3 -c 'import venv, ensurepip'
need systemd command -v systemd-analyze

if [ "${#missing[@]}" -gt 0 ]; then
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "missing: ${missing[*]}"
        echo "install them first, on Debian: sudo apt-get install --no-install-recommends ${missing[*]}"
        exit 1
    fi
    # Debian starts what it installs, and a broker on port 1883 would stand in the way of the hub: the tests start their
    # own. The mask stays, so that a restart of the machine does not start it either.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    if [[ " ${missing[*]} " == *" mosquitto "* ]] && [ ! -e /etc/systemd/system/mosquitto.service ]; then
        mkdir -p /etc/systemd/system
        ln -s /dev/null /etc/systemd/system/mosquitto.service
        echo "mosquitto's own service is masked: \`systemctl unmask mosquitto\` lets it start"
    fi
    apt-get update -q
    apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

for component in rustfmt clippy; do
    cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 || rustup component add "$component"
done

if ! cmp -s tests/clients/requirements.txt "$venv/installed.txt"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes \
        --requirement tests/clients/requirements.txt
    cp tests/clients/requirements.txt "$venv/installed.txt"
fi
"$venv/bin/python" -c 'import paho.mqtt; print("paho-mqtt", paho.mqtt.__version__)'
"$venv/bin/python" -c 'import pymodbus; print("pymodbus", pymodbus.__version__)'

server=$target/peers/modbus_server
if [ ! "$server" -nt tests/peers/modbus_server.c ]; then
    mkdir -p "$target/peers"
    cc -O2 -Wall -Wextra -Werror -I/usr/include/modbus -o "$server" tests/peers/modbus_server.c -lmodbus
fi

if [ tests/browser/node_modules/.package-lock.json -ot tests/browser/package-lock.json ]; then
    (cd tests/browser && npm ci --no-audit --no-fund --loglevel=error)
    touch tests/browser/node_modules/.package-lock.json
fi
