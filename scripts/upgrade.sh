#!/bin/sh
# Proves that a data directory written by an old binary opens with the new one and answers the same (scripts/upgrade/).
#
#   scripts/upgrade.sh [REV]    the old binary is that of REV (2c25241)
#
# The old binary is built once, from a copy of its tree below target/upgrade; OLD_BINARY=PATH takes one that is there. NEW_BINARY=PATH
# is the new one; without it, whichever of target/release/interlock and target/debug/interlock is younger. PORT_OFFSET
# (3000) moves all ports. It needs Python 3.
set -eu
cd "$(dirname "$0")/.."

work="$PWD/target/upgrade"
old="${OLD_BINARY:-}"
new="${NEW_BINARY:-$(ls -t target/release/interlock target/debug/interlock 2>/dev/null | head -n 1)}"
mkdir -p "$work"
[ -x "$new" ] || { echo "there is no new binary: run make build, or give NEW_BINARY=PATH" >&2; exit 1; }

if [ -z "$old" ]; then
    rev=$(git rev-parse --verify --quiet "${1:-2c25241}^{commit}") || { echo "no such commit: ${1:-2c25241}" >&2; exit 1; }
    old="$work/interlock-$rev"
    if [ ! -x "$old" ]; then
        echo "building the binary of $rev (once; it takes some minutes)"
        rm -rf "$work/tree"
        mkdir -p "$work/tree"
        git archive "$rev" | tar -x -C "$work/tree"
        (cd "$work/tree" && CARGO_TARGET_DIR="$work/build" ${CARGO:-cargo} build --quiet --release --package server)
        cp "$work/build/release/interlock" "$old.new"
        mv "$old.new" "$old"
    fi
fi
[ -x "$old" ] || { echo "no program at $old" >&2; exit 1; }

python3 -B scripts/upgrade "$old" "$new" "$work/run"
