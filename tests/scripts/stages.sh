# Sourced by test.sh and soak.sh: runs named stages, times them, keeps their logs and adds up what they checked.
#
# A stage prints one line when it starts and one when it ends; everything it says goes to a log file, whose end is
# shown when it fails. Results: `finish` prints them and sets the exit code.

PASSED=0
FAILED=0
FAILED_STAGES=()
STAGE_LINES=()
STAGE_NUMBER=0

# begin_stages LOG_FOLDER
begin_stages() {
    LOG_DIR=$1
    rm -rf "$LOG_DIR"
    mkdir -p "$LOG_DIR"
    STARTED=$SECONDS
}

# stage NAME WHAT COMMAND…: runs the command; true when it succeeded.
stage() {
    local name=$1 what=$2 began=$SECONDS status=0 log
    shift 2
    STAGE_NUMBER=$((STAGE_NUMBER + 1))
    log=$(printf '%s/%02d-%s.log' "$LOG_DIR" "$STAGE_NUMBER" "$name")
    printf -- '--> %-10s %s\n' "$name" "$what"
    ( "$@" ) >"$log" 2>&1 </dev/null || status=$?
    count_tests "$log" "$status"
    local verdict=ok took=$((SECONDS - began)) line
    if [ "$status" -ne 0 ]; then
        verdict=FAILED
        FAILED_STAGES+=("$name")
        echo "    ---- last lines of ${log#"$PWD"/}"
        tail -n 60 "$log" | sed 's/^/    | /'
        echo "    ----"
    fi
    line=$(printf '%-10s %-6s %5d s   %s' "$name" "$verdict" "$took" "$COUNTED")
    printf '    %s\n' "$line"
    STAGE_LINES+=("$line")
    return "$status"
}

# must NAME WHAT COMMAND…: a stage without which the later ones make no sense.
must() {
    stage "$@" || finish
}

# Adds the tests named in a log's summaries to the totals. A stage that lists none counts as one.
count_tests() {
    local log=$1 status=$2 passed failed
    # nextest: "Summary [   1.2s] 5 tests run: 4 passed (1 slow), 1 failed, 0 skipped"
    # cargo test: "test result: ok. 5 passed; 0 failed; …"
    # vitest: "      Tests  1 failed | 23 passed (24)"
    local lines
    lines=$(grep -aE '^ *Summary \[.*tests? run:|^test result: |^ +Tests +[0-9]' "$log" || true)
    passed=$(sum_before "$lines" passed)
    failed=$(($(sum_before "$lines" failed) + $(sum_before "$lines" 'timed out')))
    if [ $((passed + failed)) -eq 0 ]; then
        COUNTED=""
        [ "$status" -eq 0 ] && passed=1 || failed=1
    else
        COUNTED="$passed passed, $failed failed"
        # A stage that broke off without a failing test (a build error, a crash) is a failure all the same.
        [ "$status" -ne 0 ] && [ "$failed" -eq 0 ] && failed=1
    fi
    PASSED=$((PASSED + passed))
    FAILED=$((FAILED + failed))
    return 0
}

# sum_before LINES WORD: the sum of the numbers that stand before WORD.
sum_before() {
    grep -oE "[0-9]+ $2" <<<"$1" | awk '{sum += $1} END {print sum + 0}' || true
}

# Prints the summary and leaves.
finish() {
    local line
    echo
    echo "stage      result   time"
    for line in "${STAGE_LINES[@]}"; do echo "$line"; done
    echo "all        $([ "${#FAILED_STAGES[@]}" -eq 0 ] && echo "ok    " || echo FAILED) $(printf '%5d s' $((SECONDS - STARTED)))"
    if [ -s "$LOG_DIR/reports.txt" ]; then
        echo
        cat "$LOG_DIR/reports.txt"
    fi
    echo
    echo "logs: ${LOG_DIR#"$PWD"/}; each test counts as one, and so does each stage without tests in it"
    [ "${#FAILED_STAGES[@]}" -eq 0 ] || echo "failed: ${FAILED_STAGES[*]}"
    echo "$PASSED passed, $FAILED failed"
    [ "${#FAILED_STAGES[@]}" -eq 0 ] && exit 0
    exit 1
}
