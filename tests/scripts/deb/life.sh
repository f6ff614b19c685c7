# Sourced: a package's later life: upgraded, installed again, removed, purged.

NEXT=0.0.1+next1

check_life() {
    title "upgrade, removal, purge"
    # A site in use: edited configuration, data.
    sed -i 's/^name = "My site"$/name = "Hall 3"/' "$ROOT/etc/relais/hub.toml"
    echo '# Edited by hand.' >>"$ROOT/etc/relais/central.toml"
    inside systemctl reload relais-hub
    eventually 20 equal_is_active relais-hub
    publish boiler '{"temperature": 23.5}'
    BEFORE=$(remembered)
    make_next
    check "an upgrade asks nothing, keeps edited files and data, and restarts the services in order" upgrade_keeps
    check "the same version again changes nothing" reinstall_keeps
    check "a removal stops the services, and keeps data, configuration and users" removal_keeps
    check "an installation after that goes on where the removal stopped" data_is_taken_up_again
    check "a purge of one leaves the others as they are" purge_of_one
    check "a purge takes data and configuration, and leaves nothing of ours behind" purge_takes_all
}

# The same packages as a later version, of which one default has changed.
make_next() {
    local deb folder
    mkdir -p "$ROOT/var/tmp/next"
    for deb in "$DEBS"/relais*.deb; do
        folder=$WORK/next/$(basename "$deb" .deb)
        mkdir -p "$WORK/next"
        dpkg-deb -R "$deb" "$folder"
        sed -i "s/^Version: .*/Version: $NEXT/" "$folder/DEBIAN/control"
        [ ! -e "$folder/etc/relais/agent.toml" ] || echo '# Of the next version.' >>"$folder/etc/relais/agent.toml"
        dpkg-deb --root-owner-group -b "$folder" "$ROOT/var/tmp/next" >/dev/null
    done
}

# What must not change: the hub's identity, its readings, its gaps, its site; central's organisation and hubs.
remembered() {
    inside relais-hub status --json | python3 -c 'import json, sys; status = json.load(sys.stdin); print(status["hub"], status["site"])'
    inside relais-hub data export --device boiler --format csv | sha256sum
    inside relais-hub data gaps --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["gaps"]), "gaps")'
    inside relais hub list -o name
}

keeps_edits() {
    grep -q '^name = "Hall 3"$' "$ROOT/etc/relais/hub.toml"
    grep -q '^# Edited by hand.$' "$ROOT/etc/relais/central.toml"
    [ -s "$ROOT/etc/relais/devices.d/meter.toml" ] && [ -s "$ROOT/etc/relais/hub.toml.d/50-site.toml" ]
}

versions() {
    inside dpkg-query -W -f '${Version} ${db:Status-Status}\n' relais relais-hub relais-central relais-agent | sort -u
}

all_active() {
    for daemon in $DAEMONS; do equal_is_active "$daemon" || return 1; done
}

upgrade_keeps() {
    local pid
    pid=$(main_pid relais-hub)
    in_shell 'dpkg -i /var/tmp/next/*.deb </dev/null'
    equal "$(versions)" "$NEXT installed" versions
    keeps_edits
    equal "$(tail -n 1 "$ROOT/etc/relais/agent.toml")" "# Of the next version." "a file that nobody has edited"
    eventually 30 all_active
    [ "$(main_pid relais-hub)" != "$pid" ] || { echo "the hub was not restarted" && return 1; }
    eventually 30 link_is connected
    equal "$(remembered)" "$BEFORE" "what is remembered"
}

reinstall_keeps() {
    in_shell 'dpkg -i /var/tmp/next/*.deb </dev/null'
    keeps_edits
    eventually 30 all_active
    eventually 30 link_is connected
    equal "$(remembered)" "$BEFORE" "what is remembered"
}

removal_keeps() {
    local daemon
    inside dpkg -r relais relais-hub relais-central relais-agent
    equal "$(inside pgrep -c relais || true)" 0 "processes"
    equal "$(in_shell 'ls /usr/bin/relais* 2>/dev/null || true')" "" "programs"
    keeps_edits
    for daemon in $DAEMONS; do
        is "$daemon:$daemon:700" "/var/lib/$daemon"
        inside getent passwd "$daemon" >/dev/null
    done
    inside test -s /var/lib/relais-hub/telemetry.redb -a -s /var/lib/relais-central/keys/root.key.pem
}

data_is_taken_up_again() {
    in_shell 'dpkg -i /var/tmp/next/*.deb </dev/null'
    keeps_edits
    eventually 30 all_active
    eventually 30 link_is connected
    equal "$(remembered)" "$BEFORE" "what is remembered"
}

purge_of_one() {
    inside dpkg -P relais-agent
    equal "$(in_shell 'ls -d /var/lib/relais-agent /etc/relais/agent.toml 2>/dev/null || true')" "" "what the agent leaves"
    equal_is_active relais-hub
    equal_is_active relais-central
    keeps_edits
}

# What others write as they run: dpkg's own lists, logs, caches, copies of lists of users, what the checks brought.
OTHERS='^/(var/lib/dpkg|var/log|var/cache|var/tmp|var/lib/systemd|root|boot)(/|$)|^/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|^/etc/\.pwd\.lock$|^/etc/machine-id$|/__pycache__(/|$)'

purge_takes_all() {
    local left user
    inside dpkg -P relais relais-hub relais-central
    in_shell 'find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp \) -prune -o -print' |
        sort >"$WORK/files-after"
    left=$(comm -13 "$WORK/files-before" "$WORK/files-after" | grep -vE "$OTHERS" || true)
    equal "$left" "" "files that were not there before"
    equal "$(comm -23 "$WORK/files-before" "$WORK/files-after" | grep -vE "$OTHERS" || true)" "" "files that are gone"
    for user in $DAEMONS; do
        equal "$(inside find / -xdev -path /proc -prune -o -user "$user" -print)" "" "files of $user"
        equal "$(in_shell "systemctl list-unit-files --no-legend '$user*' || true")" "" "units"
    done
}
