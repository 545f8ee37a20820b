#!/bin/bash
# Durable try-holds over HTTP against the floor: the same HTTP stack that reads the body and answers a constant.
#
#   perf/try_hold.sh [ROUNDS] [SECONDS]
#
# Interleaved rounds in one run, 64 connections, server on one processor, client (wrk) on another. Prints requests for
# each second of server CPU, over all its threads, the time that the hypervisor stole, and the middle of the ratios. The engine
# has its memory ready, as one that sells in earnest should.
set -euo pipefail
cd "$(dirname "$0")/.."

ROUNDS=${1:-15}
SECONDS_EACH=${2:-1}
CONNECTIONS=64
SERVER_CPU=0
CLIENT_CPU=1
OFFSET=2000
FLOOR_PORT=10099
PREFAULT_BYTES=$((512 << 20))

command -v wrk >/dev/null || { echo "wrk is needed (Debian: apt-get install wrk)"; exit 1; }
[ -n "${NO_BUILD:-}" ] || cargo build --quiet --release --package server
[ -n "${NO_BUILD:-}" ] || cargo build --quiet --release --package net --example constant

DATA=$(mktemp -d "$PWD/target/try-hold.XXXXXX")
trap 'kill $ENGINE $FLOOR 2>/dev/null; wait 2>/dev/null; rm -rf "$DATA" "$DATA.log" "$DATA.rounds"' EXIT
taskset -c $SERVER_CPU target/release/interlock serve --cores 1 --port-offset $OFFSET --data-dir "$DATA" \
    --prefault-bytes $PREFAULT_BYTES --log-level warn 2>"$DATA.log" &
ENGINE=$!
taskset -c $SERVER_CPU target/release/examples/constant $FLOOR_PORT >/dev/null &
FLOOR=$!
until curl -sf "http://127.0.0.1:$((8080 + OFFSET))/readyz" >/dev/null; do sleep 0.1; done
until curl -s "http://127.0.0.1:$FLOOR_PORT/" >/dev/null; do sleep 0.1; done

cpu_ns() { cat /proc/"$1"/task/*/schedstat | awk '{ sum += $1 } END { printf "%.0f", sum }'; }
stolen() { awk '/^cpu / { print $9 }' /proc/stat; }

# name, process, port, round
load() {
    local before after steal result requests
    before=$(cpu_ns "$2"); steal=$(stolen)
    result=$(ROUND=$4 taskset -c $CLIENT_CPU wrk -t1 -c$CONNECTIONS -d"${SECONDS_EACH}s" --latency \
        -s perf/try_hold.lua "http://127.0.0.1:$3" | grep RESULT)
    after=$(cpu_ns "$2"); steal=$(($(stolen) - steal))
    requests=$(sed -E 's/.*requests=([0-9]+).*/\1/' <<<"$result")
    awk -v n="$requests" -v cpu="$((after - before))" -v name="$1" -v rest="$result" -v steal="$steal" -v secs="$SECONDS_EACH" \
        'BEGIN { printf "%-7s %8.0f/s of CPU  %8.0f/s  steal %d ticks  %s\n", name, n / (cpu / 1e9), n / secs, steal, rest }'
}

for round in $(seq "$ROUNDS"); do
    load floor $FLOOR $FLOOR_PORT "$round"
    load engine $ENGINE $((8082 + OFFSET)) "$round"
done | tee "$DATA.rounds"
awk '$1 == "floor" { floor = $2 } $1 == "engine" { print $2 / floor }' "$DATA.rounds" | sort -n |
    awk '{ ratio[NR] = $1 } END { printf "engine / floor: %.2f to %.2f, in the middle %.2f\n", ratio[1], ratio[NR], (ratio[int((NR + 1) / 2)] + ratio[int(NR / 2) + 1]) / 2 }'
