#!/bin/sh
# Changes one place of a crate at a time (cargo-mutants) and runs the crate's own tests, which should fail. The quick tests
# go first, all of the crate's tests over what they leave. What no test catches is printed; everything is below
# target/mutants/CRATE.
#
#   scripts/mutants.sh [CRATE...]    allocator, shard, engine and wal without a name
#
# SHARD=k/n tries every n-th change only, from the k-th on. It takes hours on two cores without it.
set -eu
cd "$(dirname "$0")/.."

cargo mutants --version >/dev/null 2>&1 ||
    { echo "cargo-mutants is missing: cargo install cargo-mutants --locked" >&2; exit 1; }
export CARGO_PROFILE_DEV_DEBUG=0
shard="${SHARD:-0/1}"
# A test run takes a few seconds. What takes longer than this hangs, which counts as caught.
quick_s=30
all_s=400

# Arguments of `cargo test` for the quick tests of a crate.
quick() {
    case "$1" in
        wal) echo "--lib --test running --test directory --test crash --test golden --test inspecting --test rot --test real_disk" ;;
        *) echo "--lib --tests" ;;
    esac
}

# mutants CRATE OUT TIMEOUT ARGUMENTS...: 2 and 3 say that some were missed or hung.
mutants() {
    crate=$1 out=$2 timeout=$3
    shift 3
    mkdir -p "$out"
    cargo mutants --package "$crate" --no-shuffle --jobs 1 --output "$out" --timeout "$timeout" "$@" || [ $? -le 3 ]
}

[ $# -gt 0 ] || set -- allocator shard engine wal
left=0
for crate in "$@"; do
    out="target/mutants/$crate"
    rm -rf "$out"
    # Word by word on purpose.
    mutants "$crate" "$out" "$quick_s" --sharding round-robin --shard "$shard" -- $(quick "$crate")
    missed="$out/mutants.out/missed.txt"
    if [ "$crate" = wal ] && [ -s "$missed" ]; then
        # Names as they are, not as patterns.
        names=$(sed 's/[][\.*^$()+?{}|]/\\&/g' "$missed" | paste -s -d '|')
        mutants "$crate" "$out/all" "$all_s" --re "^($names)\$" -- --lib --tests
        missed="$out/all/mutants.out/missed.txt"
    fi
    if [ -s "$missed" ]; then
        echo "$crate: not caught, see $missed"
        cat "$missed"
        left=1
    fi
done
exit "$left"
