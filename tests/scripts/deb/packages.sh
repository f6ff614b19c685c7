# Sourced: the packages as files, and the units in them.

DAEMONS="relais-hub relais-central relais-agent"
ALL="relais $DAEMONS"

check_packages() {
    local unit
    title "packages"
    check "lintian finds no errors and no warnings" lintian_is_content
    check "each conffile is the default that is built into its program" conffiles_are_defaults
    check "what a package needs is in Debian 12" only_these_dependencies
    check "the agent's program takes 2.5 MB at most" agent_is_small
    for unit in $DAEMONS; do
        check "$unit.service is exposed to 2.5 of 10 at most" unit_is_tight "$unit"
    done
}

lintian_is_content() {
    local told
    told=$(lintian --allow-root --fail-on none "$DEBS"/relais*.changes 2>/dev/null | grep -E '^[EW]:' || true)
    [ -z "$told" ] || { echo "$told" && return 1; }
}

# unpacked PACKAGE: the folder with its files.
unpacked() {
    local folder=$WORK/unpacked/$1
    mkdir -p "$WORK/unpacked"
    [ -d "$folder" ] || dpkg-deb -x "$DEBS/$1"_*.deb "$folder"
    echo "$folder"
}

conffiles_are_defaults() {
    cmp hub/default.toml "$(unpacked relais-hub)/etc/relais/hub.toml"
    cmp northbound/central/default.toml "$(unpacked relais-central)/etc/relais/central.toml"
    cmp device-agent/default.toml "$(unpacked relais-agent)/etc/relais/agent.toml"
    equal "$(dpkg-deb -I "$DEBS"/relais-hub_*.deb conffiles)" /etc/relais/hub.toml
    equal "$(dpkg-deb -I "$DEBS"/relais-central_*.deb conffiles)" /etc/relais/central.toml
    equal "$(dpkg-deb -I "$DEBS"/relais-agent_*.deb conffiles)" /etc/relais/agent.toml
}

only_these_dependencies() {
    local deb names
    for deb in "$DEBS"/relais*.deb; do
        names=$(dpkg-deb -f "$deb" Depends | tr ',|' '\n\n' | sed 's/ *(.*//; s/ //g' | sort -u | tr '\n' ' ')
        case $names in
            "libc6 libgcc-s1 " | "libc6 " | "libc6 libgcc-s1 systemd systemd-standalone-sysusers systemd-sysusers " | \
                "libc6 systemd systemd-standalone-sysusers systemd-sysusers ") ;;
            *) echo "$deb needs $names" && return 1 ;;
        esac
    done
}

agent_is_small() {
    local bytes
    bytes=$(stat -c %s "$(unpacked relais-agent)/usr/bin/relais-agent")
    [ "$bytes" -le 2500000 ] || { echo "$bytes bytes" && return 1; }
    echo "figure: $bytes bytes"
}

unit_is_tight() {
    local unit
    unit=$(unpacked "$1")/lib/systemd/system/$1.service
    systemd-analyze security --no-pager --offline=true --threshold=25 "$unit"
    echo "figure: $(systemd-analyze security --no-pager --offline=true "$unit" | sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\).*/\1/p')"
}
