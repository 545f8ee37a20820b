#!/bin/sh
# Applies each deliberate fault of sim/mutations to a copy of the tree and lets the simulator look for it. Tells the first
# seed that fails, and fails itself where one is not found.
#
#   scripts/mutations.sh [NAME...]    names as in sim/mutations, without .patch; all of them without a name
#
# SEEDS (2000) is how many seeds each may take, THREADS how many run at a time.
set -eu
cd "$(dirname "$0")/.."

seeds="${SEEDS:-2000}"
threads="${THREADS:-$(nproc)}"
work="$PWD/target/mutations"
tree="$work/tree"
table="$work/table.txt"
mkdir -p "$tree"
: >"$table"

if [ $# -eq 0 ]; then
    set -- $(ls sim/mutations | sed -n 's/\.patch$//p')
fi

fresh() {
    # Only what differs is copied, so that only what a fault touches is built again.
    git ls-files --cached --others --exclude-standard | while IFS= read -r file; do
        [ -f "$file" ] || continue
        cmp -s "$file" "$tree/$file" && continue
        mkdir -p "$tree/$(dirname "$file")"
        cp "$file" "$tree/$file"
    done
}

missed=0
for name in "$@"; do
    fresh
    (cd "$tree" && patch -p1 --quiet --no-backup-if-mismatch) <"sim/mutations/$name.patch"
    if ! (cd "$tree" && CARGO_TARGET_DIR="$work/target" cargo build --quiet --package sim 2>"$work/$name.build"); then
        echo "$name: does not build, see $work/$name.build" | tee -a "$table"
        missed=1
        continue
    fi
    if "$work/target/debug/sim" seeds "0..$seeds" --threads "$threads" >"$work/$name.txt" 2>&1; then
        echo "$name: NOT FOUND in $seeds seeds" | tee -a "$table"
        missed=1
    else
        found=$(sed -n 's/^seed \([0-9]*\) fails: .*/\1/p' "$work/$name.txt" | head -n 1)
        why=$(sed -n '2p' "$work/$name.txt" | cut -c 1-110)
        [ -n "$found" ] || missed=1
        echo "$name: found by seed ${found:-NONE, see $work/$name.txt}: $why" | tee -a "$table"
    fi
done
fresh
exit "$missed"
