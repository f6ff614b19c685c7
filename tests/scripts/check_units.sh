#!/usr/bin/env bash
# The services of the packages, as files: systemd understands every line, and none is exposed to more than 2.5 of 10.
# Part of `make test`; `make check-deb` starts them.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/lib/systemd/system "$root"/usr/bin "$root"/bin "$root"/usr/share/man/man1
for target in basic multi-user network shutdown sysinit; do
    echo "[Unit]" >"$root/lib/systemd/system/$target.target"
done
bad=0
for unit in packaging/debian/*.service; do
    name=$(basename "$unit")
    cp "$unit" "$root/lib/systemd/system"
    # What the unit runs has to be there; that it is the right program is not asked here.
    for program in $(sed -n 's/^Exec[A-Za-z]*=\([^ ]*\).*/\1/p' "$unit"); do
        install -D /bin/true "$root$program"
    done
    told=$(systemd-analyze verify --root="$root" --man=no "/lib/systemd/system/$name" 2>&1 | grep -F "$name" || true)
    [ -z "$told" ] || { echo "$told" && bad=1; }
    # 25 stands for 2.5.
    exposure=$(systemd-analyze security --no-pager --offline=true --threshold=25 "$unit") || bad=1
    echo "$exposure" | tail -n 1
done
exit "$bad"
