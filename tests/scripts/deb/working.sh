# Sourced: the installed programs do their work inside their confinement: MQTT, HTTP, Modbus, QUIC.

check_work() {
    title "at work"
    check "the hub answers /healthz and serves its page" hub_answers
    check "central answers /healthz over TLS" eventually 20 inside curl -sfk https://127.0.0.1:7444/healthz
    check "systemctl says in one line how each service is" systemctl_tells
    check "a reading published over MQTT is on flash and is exported" mqtt_is_stored
    check "the agent's metrics arrive at the hub" eventually 40 agent_is_heard
    check "a reload takes a device file over, and its Modbus device is read" modbus_is_read
    check "the first admin token is not in the journal, and one can be made beside the service" admin_token_is_kept
    check "the hub enrols at central, and what it has is confirmed over QUIC" hub_syncs
    check "the operator's command line sees the hub and its readings" operator_sees
    check "the journal knows the level of a line" journal_has_levels
}

hub_answers() {
    equal "$(inside curl -sf http://127.0.0.1:8080/healthz)" '{"status":"ok"}'
    has "$(inside curl -sf http://127.0.0.1:8080/)" "<!doctype html>"
}

systemctl_tells() {
    has "$(inside systemctl show -p StatusText relais-hub)" "Working, "
    has "$(inside systemctl show -p StatusText relais-central)" "Working, 0 hubs connected"
    has "$(inside systemctl show -p StatusText relais-agent)" "messages waiting: "
}

# publish DEVICE PAYLOAD: at QoS 1; returns when it is on flash.
publish() {
    inside mosquitto_pub -h 127.0.0.1 -q 1 -t "relais/v1/$1/telemetry" -m "$2"
}

# stored DEVICE: how many readings the hub has of it.
stored() {
    inside relais-hub data export --device "$1" --format ndjson | wc -l
}

mqtt_is_stored() {
    publish boiler '{"temperature": 21.5, "on": true}'
    equal "$(stored boiler)" 2 "readings"
}

agent_is_heard() {
    has "$(inside relais-hub data export --device box --metric uptime_s --format ndjson)" uptime_s
}

modbus_is_read() {
    cp tests/peers/modbus_plain.py "$ROOT/var/tmp/"
    inside systemd-run --quiet --unit=meter python3 /var/tmp/modbus_plain.py 15020
    cat >"$ROOT/etc/relais/devices.d/meter.toml" <<'TOML'
name = "meter"
driver = "modbus"
endpoint = "tcp://127.0.0.1:15020"
interval = "1s"

[[register]]
metric = "seventh"
address = "holding:7"
type = "u16"
TOML
    chmod 644 "$ROOT/etc/relais/devices.d/meter.toml"
    eventually 20 in_shell 'exec 3<>/dev/tcp/127.0.0.1/15020'
    inside systemctl reload relais-hub
    eventually 30 meter_is_stored
    has "$(inside relais-hub device test meter)" "meter: 1 register read."
}

meter_is_stored() {
    has "$(inside relais-hub data export --device meter --metric seventh --format csv)" ",7,good,"
}

central_cli() {
    inside runuser -u relais-central -- relais-central "$@"
}

admin_token_is_kept() {
    has "$(inside journalctl --no-pager -u relais-central)" 'nobody has an admin token yet'
    equal "$(inside journalctl --no-pager | grep -c 'relais-admin-v1\.' || true)" 0 "tokens in the journal"
    central_cli token create --admin anna >"$ROOT/root/admin.token"
    grep -q '^relais-admin-v1\.' "$ROOT/root/admin.token"
    equal "$(central_cli token list | grep -c admin)" 1 "admin tokens"
}

link_is() {
    has "$(inside relais-hub status --json)" "\"state\":\"$1\""
}

all_confirmed() {
    inside relais-hub data ledger --json | python3 -c '
import json, sys
rows = json.load(sys.stdin)["classes"]
waiting = [row for row in rows if row["class"] in ("meta", "telemetry", "event") and row["confirmed"] < row["stored"]]
stored = sum(row["stored"] for row in rows)
sys.exit(f"not confirmed: {waiting}" if waiting or not stored else 0)'
}

hub_syncs() {
    printf '[north]\ncentral = ["127.0.0.1:7443"]\n\n[storage]\nseal_after = "1s"\n' >"$ROOT/etc/relais/hub.toml.d/50-site.toml"
    inside systemctl reload-or-restart relais-hub
    eventually 30 inside systemctl is-active relais-hub
    central_cli token create --site 'Hall 3' | inside relais-hub enroll --token-file -
    eventually 30 link_is connected
    eventually 60 all_confirmed
}

operator_sees() {
    local hub
    hub=$(inside relais-hub status --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["hub"])')
    inside relais context add here --url https://127.0.0.1:7444 --token-file /root/admin.token --use
    equal "$(inside relais hub list -o name)" "$hub"
    eventually 30 central_has_reading
}

central_has_reading() {
    has "$(inside relais series get boiler temperature --all -o csv)" ",21.5,"
}

journal_has_levels() {
    has "$(inside journalctl --no-pager -p info -u relais-hub)" "the hub runs"
    has "$(inside journalctl --no-pager -p warning -u relais-central)" "nobody has an admin token yet"
    equal "$(inside journalctl --no-pager -p warning -u relais-hub | grep -c 'the hub runs' || true)" 0 "lines of level info"
}
