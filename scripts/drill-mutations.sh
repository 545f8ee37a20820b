#!/bin/sh
# Shows that the drills can fail: breaks a copy of the source in one place at a time, and expects a drill to find it.
# Give names to run some only. It needs root or fusermount3 for the power
# cuts, root for the full disk of the read model, and libfaketime for the clock; the copy lies below target/.
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

# mutate NAME FILE SED-EXPRESSION [FILE SED-EXPRESSION]...: a fresh copy with one change, built.
mutate() {
    name=$1
    shift
    rm -rf "$WORK/source"
    mkdir -p "$WORK/source"
    git ls-files -z | xargs -0 cp --parents -t "$WORK/source"
    echo "$name: building with this change"
    while [ $# -gt 0 ]; do
        sed -i "$2" "$WORK/source/$1"
        if cmp -s "$1" "$WORK/source/$1"; then
            echo "$name: the change does not apply to $1 any more"
            exit 1
        fi
        diff "$1" "$WORK/source/$1" || true
        shift 2
    done
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
# The read model. It is audited after each cycle, so that what is found is found soon.
if is_wanted row-lost; then
    # What a write that failed was to write is passed over.
    mutate row-lost server/src/sinks/log_source.rs \
        's/Some(follower) if follower.cursor() == at => Ok(follower)/Some(follower) => Ok(follower)/'
    expect row-lost bridge --cycles-per-directory 1
fi
if is_wanted cursor-ahead; then
    # The cursor is durable before the rows that it is the cursor of.
    mutate cursor-ahead bridge/src/read_model/mod.rs \
        's/connection.execute_batch("BEGIN IMMEDIATE")?;/cursor::write(connection, cursor)?; &/'
    expect cursor-ahead bridge --cycles-per-directory 1
fi
if is_wanted row-stays-behind; then
    # Of an order's rows in a batch the oldest is taken.
    mutate row-stays-behind bridge/src/rows/gathered.rs 's/known.seq.seq < row.seq.seq/known.seq.seq > row.seq.seq/'
    expect row-stays-behind bridge --cycles-per-directory 1
fi
if is_wanted epoch-skipped; then
    # After a change of the number of cores, what is left of the logs before it is passed over.
    mutate epoch-skipped server/src/sinks/log_source.rs \
        's/match self.follower.take() {/let newest = self.beginning(); let at = if at.epoch == newest.epoch { at } else { \&newest }; &/'
    expect epoch-skipped bridge --cycles-per-directory 1
fi
if is_wanted refund-without-row; then
    mutate refund-without-row bridge/src/rows/of_record.rs 's/\[row\].into_iter().chain(event)/[row].into_iter().skip(1).chain(event)/'
    expect refund-without-row bridge --cycles-per-directory 1
fi
if is_wanted event-lost; then
    # Of holds that expire together, one alone gets into the histories.
    mutate event-lost bridge/src/rows/of_record.rs 's/indexed(rows).flat_map/indexed(rows).take(1).flat_map/'
    expect event-lost bridge --cycles-per-directory 1
fi
if is_wanted order-needs-read-model; then
    # An order that the engine knows is looked up all the same.
    mutate order-needs-read-model net/src/app.rs \
        's/Ok(EngineAnswer::Order(view)) => return Ok(view),/Ok(EngineAnswer::Order(view)) => { Box::pin(self.read(cx, Question::Order(order))).await?; return Ok(view) }/'
    expect order-needs-read-model bridge --cycles-per-directory 1
fi
# The outer sinks.
if is_wanted ticket-without-row; then
    mutate ticket-without-row bridge/src/mysql/tables.rs 's/if let Some(ticket) = ticket {/if let Some(ticket) = ticket.as_ref().filter(|_| false) {/'
    expect ticket-without-row bridge --cycles-per-directory 1
fi
if is_wanted expired-hold-stays; then
    # Redis keeps the entry of a hold that has expired.
    mutate expired-hold-stays bridge/src/redis/entries.rs 's/^ *self.end(hold);$//'
    expect expired-hold-stays bridge --cycles-per-directory 1
fi
if is_wanted undelivered; then
    # The cursor moves before what it is the cursor of is delivered.
    mutate undelivered bridge/src/kafka/mod.rs 's/self.deliver(&producer, u64::MAX)?;/self.move_to(cursor)?; &/'
    expect undelivered bridge --cycles-per-directory 1
fi
exit $failed
