# Sourced: one line for each check, and what it said when it failed.

PASSED=0
FAILED=0

# title TEXT: a heading between checks.
title() {
    printf '%s\n' "-- $1"
}

# check WHAT COMMAND…: passes when the command succeeds. What it prints is shown when it fails, and its last line, when it
# begins with "figure:", beside the result.
check() {
    local what=$1 log status figure
    shift
    log=$WORK/check.log
    # Not in a condition, where `set -e` would have no effect inside.
    set +e
    (set -e; "$@") >"$log" 2>&1 </dev/null
    status=$?
    set -e
    if [ "$status" -eq 0 ]; then
        PASSED=$((PASSED + 1))
        figure=$(tail -n 1 "$log" | sed -n 's/^figure: / (/p')
        printf 'ok    %s\n' "$what${figure:+$figure)}"
    else
        FAILED=$((FAILED + 1))
        printf 'FAIL  %s\n' "$what"
        tail -n 25 "$log" | sed 's/^/        | /'
    fi
}

# finish: the sums, as the last line.
finish() {
    printf '%s passed, %s failed\n' "$PASSED" "$FAILED"
    [ "$FAILED" -eq 0 ]
}

# equal FOUND WANTED [WHAT]
equal() {
    [ "$1" = "$2" ] || { printf '%s: found %s, wanted %s\n' "${3:-not equal}" "$1" "$2" && return 1; }
}

# has TEXT PART: the text contains the part.
has() {
    case $1 in *"$2"*) ;; *) printf 'does not contain %s:\n%s\n' "$2" "$1" && return 1 ;; esac
}

# eventually SECONDS COMMAND…: again and again until it succeeds.
eventually() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >"$WORK/eventually.log" 2>&1; do
        [ "$SECONDS" -lt "$end" ] || { echo "not in time: $*" && cat "$WORK/eventually.log" && return 1; }
        sleep 0.2
    done
}
