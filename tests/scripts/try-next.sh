#!/usr/bin/env bash
# Prints what to try with the hub that `make run` is about to start.
set -euo pipefail
binary=$1
folder=$2
cat <<TEXT
A hub starts on its built-in defaults, with its data in $folder. Ctrl-C stops it. In another terminal:

  mosquitto_pub -h 127.0.0.1 -q 1 -t relais/v1/boiler/telemetry -m '{"temp": 21.5}'
  curl 'http://127.0.0.1:8080/api/v1/series?device=boiler&metric=temp'
  $binary status --socket $folder/hub.sock
  $binary data export --format csv --socket $folder/hub.sock
  $binary config show

TEXT
