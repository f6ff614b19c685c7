# Sourced: a Debian 12 of its own, booted with systemd beside this machine, with a network of its own that has nothing but
# loopback. Nothing is installed or started outside of it.

# What the checks need in there besides a minimal system.
BASE_PACKAGES=systemd,systemd-sysv,man-db,groff-base,bash-completion,zsh,fish,curl,mosquitto-clients,procps,python3-minimal
NSPAWN=

# make_base: downloads the system once; kept in target/check-deb/base.
make_base() {
    local made=$CACHE/base/.made
    [ "$(cat "$made" 2>/dev/null)" != "$BASE_PACKAGES" ] || return 0
    rm -rf "$CACHE/base" "$CACHE/base.new"
    echo "downloading Debian 12 into ${CACHE#"$PWD"/}/base, once"
    debootstrap --variant=minbase --include="$BASE_PACKAGES" bookworm "$CACHE/base.new" \
        "${RELAIS_DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$CACHE/debootstrap.log" 2>&1 ||
        { tail -n 20 "$CACHE/debootstrap.log" && return 1; }
    echo '127.0.0.1 localhost' >"$CACHE/base.new/etc/hosts"
    rm -f "$CACHE"/base.new/var/cache/apt/archives/*.deb
    echo "$BASE_PACKAGES" >"$CACHE/base.new/.made"
    mv "$CACHE/base.new" "$CACHE/base"
}

# boot ROOT: starts it and waits until it runs.
boot() {
    echo box >"$1/etc/hostname"
    systemd-nspawn --quiet --register=no --keep-unit --settings=no --private-network --hostname=box --directory="$1" \
        --boot --console=pipe </dev/null >"$WORK/boot.log" 2>&1 &
    NSPAWN=$!
    eventually 60 has_booted || { tail -n 30 "$WORK/boot.log" && return 1; }
}

has_booted() {
    LEADER=$(ps -o pid= --ppid "$NSPAWN" | tr -d ' ' | head -n 1)
    [ -n "$LEADER" ] || return 1
    case $(inside systemctl is-system-running --wait) in running | degraded) ;; *) return 1 ;; esac
}

# inside COMMAND…: as root in there.
inside() {
    nsenter --target "$LEADER" --all --root --wd -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"
}

# in_shell TEXT: a script in there, which ends at the first error.
in_shell() {
    inside bash -euo pipefail -c "$1"
}

# shut_down: ends it, at the end of everything.
shut_down() {
    [ -n "$NSPAWN" ] || return 0
    inside systemctl poweroff >/dev/null 2>&1 || true
    for _ in $(seq 100); do
        kill -0 "$NSPAWN" 2>/dev/null || break
        sleep 0.1
    done
    kill -9 "$NSPAWN" 2>/dev/null || true
    wait "$NSPAWN" 2>/dev/null || true
    NSPAWN=
}
