#!/bin/sh
# Shows that the drills can fail: breaks a copy of the source in one place at a time, and expects a drill to find it.
# Give names to run some only. It needs root or fusermount3 for the power
# cuts, and libfaketime for the clock; the copy lies below target/.
set -eu
cd "$(dirname "$0")/.."

export RUST_BACKTRACE=0
ROOT=$(pwd)
export CARGO_TARGET_DIR="$ROOT/target"
WORK=$ROOT/target/drill-mutations
CYCLES=${CYCLES:-100}
SEED=${SEED:-1}
wanted="$*"
failed=0

# mutate NAME FILE SED-EXPRESSION: a fresh copy with one change, built.
mutate() {
    rm -rf "$WORK/source"
    mkdir -p "$WORK/source"
    git ls-files -z | xargs -0 cp --parents -t "$WORK/source"
    sed -i "$3" "$WORK/source/$2"
    if cmp -s "$2" "$WORK/source/$2"; then
        echo "$1: the change does not apply to $2 any more"
        exit 1
    fi
    echo "$1: building with this change"
    diff "$2" "$WORK/source/$2" || true
    (cd "$WORK/source" && cargo build --quiet --package server --target-dir "$WORK/build" 2>"$WORK/build.log") || {
        cat "$WORK/build.log"
        exit 1
    }
}

# expect NAME COMMAND...: the drill has to fail.
expect() {
    name=$1
    shift
    echo "$name: drill $* --seed $SEED"
    if "$ROOT/target/debug/drill" "$@" --cycles "$CYCLES" --seed "$SEED" --data "$WORK/data" \
        --binary "$WORK/build/debug/interlock" >"$WORK/$name.log" 2>&1; then
        echo "$name: NOT FOUND in $CYCLES cycles, see $WORK/$name.log"
        failed=1
    elif cycle=$(sed -n 's/^failed in cycle \([0-9]*\)$/\1/p' "$WORK/$name.log" | tail -1) && [ -z "$cycle" ]; then
        echo "$name: DID NOT RUN, see $WORK/$name.log"
        failed=1
    else
        echo "$name: found in cycle $cycle"
        grep -m 1 -A 1 "panicked at" "$WORK/$name.log" | cut -c 1-300
    fi
    rm -rf "$WORK/data"
}

is_wanted() {
    case " $wanted " in "  " | *" $1 "*) return 0 ;; *) return 1 ;; esac
}

cargo build --quiet --package drill

if is_wanted no-dsync; then
    mutate no-dsync wal/src/files/os.rs \
        's/if direct { OFlags::DSYNC | OFlags::DIRECT } else { OFlags::DSYNC }/if direct { OFlags::DIRECT } else { OFlags::empty() }/'
    expect no-dsync-uring power --driver uring
    expect no-dsync-plain power --driver plain
fi
if is_wanted early-ack; then
    # A reply does not wait for the log.
    mutate early-ack shard/src/durability_gate.rs 's/if visible_at <= self.durable {/if visible_at <= self.durable || visible_at > self.durable {/'
    expect early-ack-kill kill
    expect early-ack-power power --driver uring
fi
if is_wanted no-name-sync; then
    # A name that was given is not made durable.
    mutate no-name-sync wal/src/disk/jobs.rs '/renamed.map_err/{n;s/self.sync_dir()/Ok(())/}'
    expect no-name-sync power --driver uring
fi
if is_wanted no-snapshot-sync; then
    mutate no-snapshot-sync wal/src/disk/jobs.rs 's/file.sync().map_err(step("sync"))$/Ok(())/'
    expect no-snapshot-sync power --driver uring
fi
if is_wanted fast-clock; then
    # A jump of the wall clock is followed at once.
    mutate fast-clock shard/src/clock.rs 's/const SLEW_PARTS: u64 = 50;/const SLEW_PARTS: u64 = 1;/'
    expect fast-clock clock
fi
exit $failed
