#!/bin/bash
# Every measurement that needs one binary, and a page over them: target/perf/index.html. `make perf` builds and runs it.
#
# It takes about ten minutes on two cores. PERF_QUICK=1 tries everything in two: its figures are good for nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

perf=target/release/perf
out=target/perf
# A report of an earlier run must not stand beside those of this one.
rm -rf "$out"
mkdir -p "$out"

if [ -n "${PERF_QUICK:-}" ]; then
    connections=64 load=10,50,110 seconds=1 holds=100000 batch=0.3 windows=6 window=1 records=50000
else
    connections=64,1000,10000 load=10,20,30,40,50,60,70,80,90,100,110 seconds=4 holds=2000000 batch=2 windows=12 window=10 records=1000000
fi

"$perf" http --connections "$connections" --load "$load" --seconds "$seconds"
for workload in steady-day many-queries orders; do
    "$perf" http --workload "$workload" --connections 64 --load 10,30,50,70,90,110 --seconds "$seconds" --out "$out/http-$workload"
done
"$perf" floor --seconds "$seconds"
"$perf" engine --holds "$holds"
"$perf" pipeline --seconds "$batch"
"$perf" batch --seconds "$batch" --rounds 2
"$perf" recovery --holds "$records"
# Holds of a second and ten seconds' memory of ended ones: what comes round does so many times.
"$perf" steady --hold-ttl-secs 1 --serve=--hold-memory-secs --serve=10 --windows "$windows" --seconds "$window"
rm -rf "$out/data"
"$perf" index
