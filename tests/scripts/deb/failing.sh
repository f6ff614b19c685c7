# Sourced: what goes wrong, and what the services do about it.

check_failures() {
    title "when something fails"
    check "a reload with a wrong file is refused and told, and the hub goes on" wrong_reload_changes_nothing
    check "a hub that is killed is started again, and what was acknowledged is there" killed_hub_comes_back
    inside systemctl stop relais-hub
    mkdir -p "$ROOT/etc/systemd/system/relais-hub.service.d"
    printf '[Service]\nWatchdogSec=4s\n' >"$ROOT/etc/systemd/system/relais-hub.service.d/check.conf"
    inside systemctl daemon-reload
    inside systemctl start relais-hub
    check "a hub that hangs is started again by the watchdog" hung_hub_is_restarted
    check "a full disk is told, costs no restart, and the hub goes on when there is room" full_disk_is_no_reason
    rm -r "$ROOT/etc/systemd/system/relais-hub.service.d"
    inside systemctl daemon-reload
    check "a wrong configuration ends the start with 78, and is not tried again" wrong_configuration_is_final
    check "central is started again when it is killed, and has everything" killed_central_comes_back
}

restarts() {
    inside systemctl show -p NRestarts --value "$1"
}

wrong_reload_changes_nothing() {
    local before wrong=/etc/relais/hub.toml.d/90-wrong.toml
    before=$(main_pid relais-hub)
    echo 'nonsense = 1' >"$ROOT$wrong"
    if inside systemctl reload relais-hub; then echo "it was taken" && return 1; fi
    has "$(inside journalctl --no-pager -u relais-hub -n 20)" "nonsense: unknown key"
    rm "$ROOT$wrong"
    equal "$(main_pid relais-hub)" "$before" "the process"
    equal "$(inside systemctl is-active relais-hub)" active
    inside systemctl reload relais-hub
    eventually 20 equal_is_active relais-hub
}

equal_is_active() {
    [ "$(inside systemctl is-active "$1")" = active ]
}

# comes_back UNIT RESTARTS: it was restarted once more than so often, and says that it is ready.
comes_back() {
    [ "$(restarts "$1")" -gt "$2" ] && equal_is_active "$1"
}

killed_hub_comes_back() {
    local before stored_before
    publish boiler '{"temperature": 22.5}'
    before=$(restarts relais-hub) stored_before=$(stored boiler)
    inside systemctl kill -s KILL relais-hub
    eventually 30 comes_back relais-hub "$before"
    equal "$(stored boiler)" "$stored_before" "readings"
}

hung_hub_is_restarted() {
    local before began=$SECONDS
    equal_is_active relais-hub
    before=$(restarts relais-hub)
    inside kill -STOP "$(main_pid relais-hub)"
    eventually 60 comes_back relais-hub "$before"
    has "$(inside journalctl --no-pager -u relais-hub -n 40)" "Watchdog timeout"
    echo "figure: $((SECONDS - began)) s, of a watchdog of 4 s"
}

# status_says WORDS: the hub's line in `systemctl status` begins with them.
status_says() {
    local line
    line=$(inside systemctl show -p StatusText --value relais-hub)
    case $line in "$1"*) ;; *) echo "$line" && return 1 ;; esac
}

# noise N: N messages with 40 random numbers each.
noise() {
    python3 -c '
import json, random, sys
for _ in range(int(sys.argv[1])):
    print(json.dumps({f"m{n}": random.random() for n in range(40)}))' "$1" |
        inside mosquitto_pub -h 127.0.0.1 -q 1 -t relais/v1/noise/telemetry -l
}

full_disk_is_no_reason() {
    local before lasts
    inside systemctl stop relais-hub
    inside mount -t tmpfs -o size=20m,mode=700,uid="$(inside id -u relais-hub)",gid="$(inside id -g relais-hub)" \
        check /var/lib/relais-hub
    inside systemctl start relais-hub
    inside dd if=/dev/zero of=/var/lib/relais-hub/filler bs=64k status=none 2>/dev/null || true
    before=$(restarts relais-hub)
    for _ in $(seq 30); do
        timeout 20 bash -c "$(declare -f noise inside); LEADER=$LEADER; noise 400" || true
        if status_says 'Not working: ' >/dev/null; then break; fi
    done
    eventually 20 status_says 'Not working: '
    lasts=$SECONDS
    while [ $((SECONDS - lasts)) -lt 16 ]; do
        equal_is_active relais-hub
        sleep 1
    done
    equal "$(restarts relais-hub)" "$before" "restarts in four times the watchdog's time"
    equal "$(inside curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/healthz)" 503 "healthz"
    inside rm /var/lib/relais-hub/filler
    eventually 30 status_says 'Working, '
    equal "$(restarts relais-hub)" "$before" restarts
    inside systemctl stop relais-hub
    inside umount /var/lib/relais-hub
    inside systemctl start relais-hub
}

wrong_configuration_is_final() {
    local wrong=/etc/relais/hub.toml.d/90-wrong.toml
    echo 'nonsense = 1' >"$ROOT$wrong"
    if inside systemctl restart relais-hub; then echo "it started" && return 1; fi
    equal "$(inside systemctl show -p ExecMainStatus --value relais-hub)" 78 "exit code"
    sleep 5
    equal "$(inside systemctl is-failed relais-hub)" failed
    equal "$(restarts relais-hub)" 0 restarts
    has "$(inside journalctl --no-pager -u relais-hub -n 20)" "nonsense: unknown key"
    rm "$ROOT$wrong"
    inside systemctl restart relais-hub
    equal_is_active relais-hub
}

killed_central_comes_back() {
    local before
    before=$(restarts relais-central)
    inside systemctl kill -s KILL relais-central
    eventually 30 comes_back relais-central "$before"
    eventually 30 central_has_reading
    eventually 60 link_is connected
}
