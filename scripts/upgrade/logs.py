"""What lies on the disk: `log check` and `log dump`."""

import collections
import json
import subprocess

from client import Failure

# Words that `log check` says otherwise now: (old, new).
CHECK_WORDS = []
# Keys of `log dump` that came after the old binary, as in "hold_made.body.qty". One that is not listed here fails as well.
HOLD_RECORDS = ("hold_made", "hold_adopted", "hold_confirmed", "hold_released")
ORDER_RECORDS = ("order_reserved", "order_paid", "order_ticketed", "order_cancelled")
NEW_DUMP_KEYS = {"partition_opened.body.board", "partition_opened.body.alight", "partition_opened.body.seq", "holds_expired.body.holds[].made"}
NEW_DUMP_KEYS |= {f"{record}.body.made" for record in HOLD_RECORDS}
NEW_DUMP_KEYS |= {f"{record}.body.reservation.made" for record in ORDER_RECORDS}
# What an old binary shows and a new one does not: a cancelled order has no seats any more.
EMPTIED_DUMP_KEYS = {"order_cancelled.body.reservation.seats"}


def output_of(command):
    done = subprocess.run(command, capture_output=True)
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr.decode()[-2000:]}")
    return done.stdout.decode()


def compare_json(old, new, place):
    """Yields where two values differ. Keys that are listed as new may be there."""
    if place in EMPTIED_DUMP_KEYS and new == []:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            if key not in old and f"{place}.{key}" in NEW_DUMP_KEYS:
                continue
            if key not in old or key not in new:
                yield f"{place}.{key}: only in the {'old' if key in old else 'new'} one"
            else:
                yield from compare_json(old[key], new[key], f"{place}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for a, b in zip(old, new):
            yield from compare_json(a, b, f"{place}[]")
    elif old != new or type(old) is not type(new):
        yield f"{place}: old {json.dumps(old)}, new {json.dumps(new)}"


def compare_logs(old, new, directory):
    """`log check` and `log dump` of both binaries. Returns the kinds of records."""
    checks = [output_of([binary, "log", "check", directory]) for binary in (old, new)]
    for said, says in CHECK_WORDS:
        checks[0] = checks[0].replace(said, says)
    if checks[0] != checks[1]:
        raise Failure(f"log check of {directory} differs:\nold:\n{checks[0]}\nnew:\n{checks[1]}")
    dumps = [[json.loads(line) for line in output_of([binary, "log", "dump", directory]).splitlines()] for binary in (old, new)]
    if len(dumps[0]) != len(dumps[1]):
        raise Failure(f"log dump of {directory}: {len(dumps[0])} records with the old binary, {len(dumps[1])} with the new one")
    found = [f"core {a['core']}, lsn {a['lsn']}: {text}" for a, b in zip(*dumps) for text in compare_json(a, b, a["type"])]
    if found:
        raise Failure(f"log dump of {directory}: {len(found)} values differ; the first of them:\n" + "\n".join(found[:10]))
    return collections.Counter(record["type"] for record in dumps[0])
