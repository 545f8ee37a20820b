#!/bin/bash
# CPU time of durable try-holds over HTTP, against a floor: the same HTTP stack that reads the body and answers a constant.
# Given an old binary as well, it also runs old and new beside each other.
#
# The servers run from the beginning to the end, on one processor; the client (wrk, 64 connections) runs on another. In each slice
# every server is loaded once, so that what the machine does meanwhile happens to all of them alike. CPU time is that of
# all threads of a server. On a virtual machine it includes time that the hypervisor stole, so stolen ticks stand beside each
# figure; no slice is dropped for them.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C

usage() {
    cat <<'TEXT'
usage: perf/try_hold.sh [SLICES] [SECONDS]                    the engine and the floor (15 slices of 1 s)
       perf/try_hold.sh --old PATH [OPTION...]                an old binary, a new one and the floor (40 slices of 0.5 s)

  --old PATH       the old interlock binary
  --new PATH       the new one; default: target/release/interlock, built first
  --slices N       how often each server is loaded
  --seconds S      for how long each time; fractions are allowed
  -h, --help       this text

NO_BUILD=1 takes what is below target/release as it is. PORT_OFFSET (2000) moves all ports.
TEXT
}

fail() {
    echo "try_hold.sh: $*" >&2
    exit 1
}

old='' new='' slices='' seconds=''
while [ $# -gt 0 ]; do
    case $1 in
    --old | --new | --slices | --seconds)
        [ $# -ge 2 ] || fail "$1 needs a value"
        case $1 in --old) old=$2 ;; --new) new=$2 ;; --slices) slices=$2 ;; --seconds) seconds=$2 ;; esac
        shift
        ;;
    -h | --help) usage && exit ;;
    -*) usage >&2 && fail "unknown option $1" ;;
    *)
        if [ -z "$slices" ]; then slices=$1; elif [ -z "$seconds" ]; then seconds=$1; else fail "one argument too many: $1"; fi
        ;;
    esac
    shift
done
slices=${slices:-$([ -n "$old" ] && echo 40 || echo 15)}
seconds=${seconds:-$([ -n "$old" ] && echo 0.5 || echo 1)}
[[ $slices =~ ^[1-9][0-9]*$ ]] || fail "not a number of slices: $slices"
[[ $seconds =~ ^[0-9]+(\.[0-9]+)?$ ]] || fail "not a number of seconds: $seconds"
[ -z "$old" ] || [ -x "$old" ] || fail "no program at $old"
command -v wrk >/dev/null || fail "wrk is needed (Debian: apt-get install wrk)"

CONNECTIONS=64
SERVER_CPU=0
CLIENT_CPU=1
FLOOR=target/release/examples/constant
offset=${PORT_OFFSET:-2000}

if [ -z "${NO_BUILD:-}" ]; then
    [ -n "$new" ] || cargo build --quiet --release --package server
    cargo build --quiet --release --package net --example constant
fi
new=${new:-target/release/interlock}
[ -x "$new" ] || fail "no program at $new"
[ -x "$FLOOR" ] || fail "no program at $FLOOR"

mkdir -p target
work=$(mktemp -d "$PWD/target/try-hold.XXXXXX")
declare -A process port
finish() {
    [ ${#process[@]} -eq 0 ] || kill "${process[@]}" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# wait_for NAME PATH: until the server answers.
wait_for() {
    local tries
    for tries in {1..100}; do
        ! curl -s "http://127.0.0.1:${port[$1]}$2" >/dev/null || return 0
        kill -0 "${process[$1]}" 2>/dev/null || break
        sleep 0.1
    done
    cat "$work/$1.log" >&2
    fail "$1 does not start (port ${port[$1]})"
}

# start_engine NAME BINARY OFFSET. No hold expires in a run, so that expiry is nowhere in the figures.
start_engine() {
    taskset -c $SERVER_CPU "$2" serve --cores 1 --port-offset "$3" --data-dir "$work/$1" --hold-ttl-secs 3600 \
        --log-level warn >"$work/$1.log" 2>&1 &
    process[$1]=$!
    port[$1]=$((8082 + $3))
    wait_for "$1" /readyz
}

start_floor() {
    port[floor]=$((8099 + offset))
    taskset -c $SERVER_CPU $FLOOR "${port[floor]}" >"$work/floor.log" 2>&1 &
    process[floor]=$!
    wait_for floor /
}

cpu_ns() { cat /proc/"${process[$1]}"/task/*/schedstat | awk '{ sum += $1 } END { printf "%.0f", sum }'; }
stolen_ticks() { awk '/^cpu / { print $9 }' /proc/stat; }

# load NAME SLICE: one line of figures. wrk takes whole seconds only, but ends early on SIGINT, with its summary; `timeout`
# then says 124, so that only the summary tells success.
load() {
    local cpu steal result
    steal=$(stolen_ticks)
    cpu=$(cpu_ns "$1")
    result=$(ROUND=$2 timeout --signal INT "$seconds" taskset -c $CLIENT_CPU wrk -t1 -c$CONNECTIONS -d3600s --latency \
        -s perf/try_hold.lua "http://127.0.0.1:${port[$1]}" | grep ^RESULT) || [ -n "$result" ] || fail "wrk did not end with figures"
    cpu=$(($(cpu_ns "$1") - cpu))
    steal=$(($(stolen_ticks) - steal))
    echo "slice=$2 server=$1 cpu_ns=$cpu steal=$steal ${result#RESULT }"
}

# Figures of `load` as rows of the table.
rows() {
    awk '{
        for (i = 1; i <= NF; i++) { split($i, part, "="); value[part[1]] = part[2] }
        if (value["requests"] == 0) { print "no request was answered by " value["server"] > "/dev/stderr"; exit 1 }
        us = value["cpu_ns"] / 1000 / value["requests"]
        printf "%5d  %-6s  %8d  %9.0f  %14.2f  %7.3f  %7.3f  %11d  %6d\n", value["slice"], value["server"], value["requests"],
            value["requests"] / value["seconds"], us, value["p50_ms"], value["p99_ms"], value["steal"], value["errors"]
        fflush()
    }'
}

# Of numbers on stdin: median, mean, both quartiles, smallest, largest. Of an even count the median is between the middle two.
spread() {
    sort -n | awk '{ x[NR] = $1; sum += $1 }
        function at(share,  place) { place = 1 + share * (NR - 1); return x[int(place)] + (place - int(place)) * (x[int(place + 0.999999)] - x[int(place)]) }
        END { printf "%9.3f %9.3f %9.3f %9.3f %9.3f %9.3f\n", at(0.5), sum / NR, at(0.25), at(0.75), x[1], x[NR] }'
}

cpu_us() { awk -v name="$1" '$2 == name { print $5 }' "$work/rows"; }
median_cpu_us() { cpu_us "$1" | spread | awk '{ print $1 }'; }
# ratio_of_medians A B, ratios A B (slice by slice): CPU time of A over that of B.
ratio_of_medians() { awk -v a="$(median_cpu_us "$1")" -v b="$(median_cpu_us "$2")" 'BEGIN { printf "%.3f", a / b }'; }
ratios() { paste <(cpu_us "$1") <(cpu_us "$2") | awk '{ print $1 / $2 }'; }

summary() {
    local name
    printf '\n%-20s%9s %9s %9s %9s %9s %9s\n' "CPU us/request" median mean "25 %" "75 %" least most
    for name in "${servers[@]}"; do printf '%-20s%s\n' "$name" "$(cpu_us "$name" | spread)"; done
    printf '\nratio by slice\n'
    [ -z "$old" ] || printf '%-20s%s\n' "new / old" "$(ratios new old | spread)"
    printf '%-20s%s\n\n' "floor / $engine" "$(ratios floor "$engine" | spread)"
    printf 'ratio of medians\n'
    [ -z "$old" ] || printf '%-20s%9s   CPU of a request; below 1 the new one takes less\n' "new / old" "$(ratio_of_medians new old)"
    printf '%-20s%9s   at 1 the engine would take no more than the floor\n\n' "floor / $engine" "$(ratio_of_medians floor "$engine")"
    awk '{ steal += $8; errors += $9 } END { printf "stolen in all: %d ticks; requests that failed: %d\n", steal, errors; exit errors > 0 }' "$work/rows"
}

if [ -n "$old" ]; then
    engine=new servers=(old new floor)
    start_engine old "$old" "$offset"
    start_engine new "$new" $((offset + 100))
else
    engine=engine servers=(engine floor)
    start_engine engine "$new" "$offset"
fi
start_floor
for name in "${servers[@]}"; do load "$name" 0 >/dev/null; done # warms up, counts for nothing

echo "slice  server  requests  requests/s  CPU us/request   p50 ms   p99 ms  steal ticks  errors"
for slice in $(seq "$slices"); do
    # Every other slice goes the other way round, so that no server always comes behind the same one.
    order=("${servers[@]}")
    if [ -n "$old" ] && [ $((slice % 2)) -eq 0 ]; then order=(new old floor); fi
    for name in "${order[@]}"; do load "$name" "$slice"; done
done | rows | tee "$work/rows"
summary
