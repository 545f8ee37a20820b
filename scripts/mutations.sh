#!/bin/sh
# Applies each deliberate fault of sim/mutations to a copy of the tree and lets the simulator look for it. Tells the first
# seed that fails, and fails itself where a fault is not found, does not apply or does not build.
#
#   scripts/mutations.sh [NAME...]    names as in sim/mutations, without .patch; all of them without a name
#
# SEEDS (2000) is how many seeds each may take, THREADS how many run at a time. CHECK=1 only tries whether the patches apply.
set -eu
cd "$(dirname "$0")/.."

seeds="${SEEDS:-2000}"
threads="${THREADS:-$(nproc)}"
work="$PWD/target/mutations"
tree="$work/tree"
table="$work/table.txt"
found=0
not_found=0
mkdir -p "$tree"
: >"$table"

if [ $# -eq 0 ]; then
    set -- $(ls sim/mutations | sed -n 's/\.patch$//p')
fi

# The tree as it is. Only what differs is copied, so that only what a fault touches is built again; what is no longer
# in the tree goes, so that a module that moved is not there twice.
fresh() {
    git ls-files --cached --others --exclude-standard | while IFS= read -r file; do
        [ ! -f "$file" ] || printf '%s\n' "$file"
    done | sort >"$work/files"
    (cd "$tree" && find . -type f | sed 's,^\./,,' | sort | comm -23 - "$work/files" | while IFS= read -r file; do rm "$file"; done)
    while IFS= read -r file; do
        cmp -s "$file" "$tree/$file" && continue
        mkdir -p "$tree/$(dirname "$file")"
        cp "$file" "$tree/$file"
    done <"$work/files"
}

build() { (cd "$tree" && CARGO_TARGET_DIR="$work/target" ${CARGO:-cargo} build --quiet --package sim 2>"$work/$1.build"); }
simulate() { "$work/target/debug/sim" seeds "0..$2" --threads "$threads" >"$work/$1.txt" 2>&1; }

# tell NAME TEXT: a row of the table.
tell() { echo "$1: $2" | tee -a "$table"; }
missed() {
    tell "$1" "$2"
    not_found=$((not_found + 1))
}

# Looks for one fault.
look_for() {
    fresh
    patch="$PWD/sim/mutations/$1.patch"
    [ -f "$patch" ] || { missed "$1" "THERE IS NO sim/mutations/$1.patch"; return; }
    # Tried first, so that no half of it stays in the tree; without fuzz, so that it changes what it means.
    if ! patch -d "$tree" -p1 --fuzz=0 --dry-run --force <"$patch" >"$work/$1.apply" 2>&1; then
        missed "$1" "DOES NOT APPLY to the tree any more, see $work/$1.apply"
        return
    fi
    [ -z "${CHECK:-}" ] || { tell "$1" "applies"; return; }
    patch -d "$tree" -p1 --fuzz=0 --quiet --no-backup-if-mismatch <"$patch"
    build "$1" || { missed "$1" "DOES NOT BUILD, see $work/$1.build"; return; }
    if simulate "$1" "$seeds"; then
        missed "$1" "NOT FOUND in $seeds seeds"
        return
    fi
    seed=$(sed -n 's/^seed \([0-9]*\) fails: .*/\1/p' "$work/$1.txt" | head -n 1)
    [ -n "$seed" ] || { missed "$1" "THE SIMULATOR FAILS BUT NAMES NO SEED, see $work/$1.txt"; return; }
    tell "$1" "found by seed $seed: $(sed -n '2p' "$work/$1.txt" | cut -c 1-110)"
    found=$((found + 1))
}

if [ -z "${CHECK:-}" ]; then
    # A simulator that fails without a fault finds anything.
    fresh
    build without || { echo "the tree does not build, see $work/without.build"; exit 1; }
    simulate without 100 || { echo "the simulator fails without a fault, see $work/without.txt"; exit 1; }
fi
for name in "$@"; do look_for "$name"; done
fresh
if [ -n "${CHECK:-}" ]; then
    echo "$(($# - not_found)) apply, $not_found do not"
else
    echo "$found found, $not_found not found"
fi
[ "$not_found" -eq 0 ]
