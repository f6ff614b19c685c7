# Sourced: what is there after `dpkg -i`: users, files, manual, completions.

check_installation() {
    local daemon program
    title "installation"
    in_shell 'find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp \) -prune -o -print' |
        sort >"$WORK/files-before"
    check "packages install into a system that is not booted, and the hub runs there as its user" image_works
    mkdir -p "$ROOT/var/tmp/debs"
    cp "$DEBS"/relais*.deb "$ROOT/var/tmp/debs"
    check "dpkg installs all packages" in_shell 'dpkg -i /var/tmp/debs/*.deb'
    for daemon in $DAEMONS; do
        check "$daemon.service is what systemd understands" unit_is_good "$daemon"
        check "$daemon has a user of its own that cannot sign in" has_user "$daemon"
        check "$daemon starts by itself, now and at boot" is_started "$daemon"
        check "$daemon runs as its user, without capabilities, with its system calls filtered" runs_confined "$daemon"
    done
    check "programs and configuration belong to root and can be read by all" root_owns_programs
    check "data folders belong to their users and can be read by nobody else" users_own_data
    check "the hub's socket is for its user and root alone" socket_is_private
    check "folders for device files, profiles and further files are there" folders_are_there
    check "the packaged configuration is the one that is built in" defaults_are_in_force
    for program in $ALL; do
        check "the manual page of $program renders without warnings" page_renders "$program"
        check "bash completes the words of $program" bash_completes "$program"
        check "zsh and fish complete the words of $program" others_complete "$program"
    done
    check "documentation is there, with the licences of what is built in" has_documentation
}

# As when an image is made, or in a container without systemd: nothing is started, and nothing fails for that.
image_works() {
    systemd-nspawn --quiet --register=no --keep-unit --settings=no --private-network --volatile=overlay \
        --directory="$CACHE/base" --bind-ro="$DEBS:/debs" --pipe bash -euo pipefail -c '
        dpkg -i /debs/*.deb
        ! pgrep relais
        for folder in /var/lib/relais-hub /run/relais-hub; do
            install -d -o relais-hub -g relais-hub -m 700 $folder
        done
        runuser -u relais-hub -- relais-hub run &
        for _ in $(seq 100); do curl -sf http://127.0.0.1:8080/healthz && break; sleep 0.2; done
        test "$(curl -sf http://127.0.0.1:8080/healthz)" = "{\"status\":\"ok\"}"
        test "$(stat -c %U /var/lib/relais-hub/telemetry.redb)" = relais-hub
        pkill -TERM -x relais-hub
        wait
        dpkg -P relais relais-hub relais-central relais-agent
        ! test -e /var/lib/relais-hub'
}

unit_is_good() {
    local told
    told=$(inside systemd-analyze verify "/lib/systemd/system/$1.service" 2>&1 | grep relais || true)
    equal "$told" "" "systemd says"
}

has_user() {
    equal "$(inside getent passwd "$1" | cut -d: -f1,6,7)" "$1:/var/lib/$1:/usr/sbin/nologin"
    equal "$(inside id -Gn "$1")" "$1" groups
    case $(inside getent shadow "$1") in "$1:!"* | "$1:*"*) ;; *) echo "it can sign in" && return 1 ;; esac
}

is_started() {
    equal "$(inside systemctl is-enabled "$1")" enabled
    eventually 30 inside systemctl is-active "$1"
    equal "$(inside systemctl show -p Result --value "$1")" success
}

main_pid() {
    inside systemctl show -p MainPID --value "$1"
}

runs_confined() {
    local status
    status=$(inside cat "/proc/$(main_pid "$1")/status")
    equal "$(inside ps -o user:32= -p "$(main_pid "$1")" | tr -d ' ')" "$1" user
    has "$status" $'CapEff:\t0000000000000000'
    has "$status" $'CapBnd:\t0000000000000000'
    has "$status" $'NoNewPrivs:\t1'
    has "$status" $'Seccomp:\t2'
}

# is OWNER:GROUP:MODE PATH
is() {
    equal "$(inside stat -c %U:%G:%a "$2")" "$1" "$2"
}

root_owns_programs() {
    for program in $ALL; do is root:root:755 "/usr/bin/$program"; done
    is root:root:755 /etc/relais
    for file in hub central agent; do is root:root:644 "/etc/relais/$file.toml"; done
}

users_own_data() {
    local daemon others
    for daemon in $DAEMONS; do
        is "$daemon:$daemon:700" "/var/lib/$daemon"
        others=$(inside find "/var/lib/$daemon" \( ! -user "$daemon" -o -perm /077 \))
        equal "$others" "" "files in /var/lib/$daemon that others own or may read"
    done
    is relais-central:relais-central:600 /var/lib/relais-central/keys/root.key.pem
}

socket_is_private() {
    is relais-hub:relais-hub:700 /run/relais-hub
    is relais-hub:relais-hub:600 /run/relais-hub/hub.sock
    inside relais-hub status >/dev/null
    inside runuser -u relais-hub -- relais-hub status >/dev/null
    equal "$(in_shell 'code=0; runuser -u nobody -- relais-hub status 2>/tmp/refused || code=$?; echo $code')" 7 "exit code"
    has "$(inside cat /tmp/refused)" "run this as root or as the user the hub runs as"
}

folders_are_there() {
    for folder in devices.d profiles.d hub.toml.d central.toml.d; do is root:root:755 "/etc/relais/$folder"; done
}

defaults_are_in_force() {
    has "$(inside relais-hub config check)" "configuration is good: /etc/relais/hub.toml"
    in_shell ': >/tmp/empty.toml
        diff <(relais-hub config show) <(relais-hub config show --config /tmp/empty.toml)'
    has "$(inside runuser -u relais-central -- relais-central check)" "configuration is good: /etc/relais/central.toml"
}

page_renders() {
    local page=/usr/share/man/man1/$1.1.gz told
    told=$(in_shell "MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z $page 2>&1 >/dev/null" || true)
    equal "$told" "" "man says"
    zcat "$ROOT$page" | mandoc -T lint -W error >/dev/null
    has "$(in_shell "MANWIDTH=80 man $1 | cat")" "SEE ALSO"
}

# What bash offers behind the program's name and the beginning of a word.
bash_completes() {
    local word offered
    word=$(a_word "$1")
    offered=$(in_shell "set +u
        . /usr/share/bash-completion/bash_completion
        _completion_loader $1 || [ \$? -eq 124 ]
        function=\$(complete -p $1 | sed 's/.*-F \([^ ]*\).*/\1/')
        COMP_WORDS=($1 ${word:0:3}) COMP_CWORD=1 COMP_LINE='$1 ${word:0:3}' COMP_POINT=\${#COMP_LINE}
        \$function $1 ${word:0:3} $1
        echo \" \${COMPREPLY[*]} \"")
    has "$offered" " $word "
}

others_complete() {
    local word
    word=$(a_word "$1")
    has "$(inside fish -c "complete -C '$1 ${word:0:3}'")" "$word"
    inside zsh -n "/usr/share/zsh/vendor-completions/_$1"
    has "$(inside zsh -fc "autoload -Uz compinit; compinit -u -D; print \$_comps[$1]")" "_$1"
}

# A command of a program, that is not the beginning of another one.
a_word() {
    case $1 in
        relais-agent) echo check ;;
        relais-central) echo token ;;
        *) echo device ;;
    esac
}

has_documentation() {
    in_shell 'for p in relais relais-hub relais-central relais-agent; do
        for file in copyright changelog.gz third-party.txt.gz; do [ -s /usr/share/doc/$p/$file ]; done
    done
    zcat /usr/share/doc/relais-hub/third-party.txt.gz >/tmp/works
    grep -q "^redb " /tmp/works
    grep -q "^svelte " /tmp/works
    for file in cli.md mqtt.md install.md; do [ -s "$(find /usr/share/doc/relais-hub -name $file)" ]; done'
}
