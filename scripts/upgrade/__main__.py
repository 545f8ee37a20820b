#!/usr/bin/env python3
"""Sells with an old binary, then holds a new one against it on copies of the same data directory.

    python3 scripts/upgrade OLD NEW WORK

Two directories are sold into: one whose processes stop on SIGTERM, one whose processes are killed under load. Both restart
with other numbers of cores in between. At each stop, what both binaries say in `log dump` and `log check` is compared; at the
end, each answer over HTTP, once with the same number of cores and once with another one, which distributes the slots again.
Everything is read, then every request that was sent is repeated, something new is sold, and everything is read again. An answer is
its status, its headers and its body, byte for byte. What may differ is listed in `answers.py` and `logs.py`.

Not covered, because it takes a minute to days of waiting: holds, orders and runs that are forgotten, and orders that nobody
reserves for. The golden files of the formats have these records.
"""

import collections
import os
import shutil
import signal
import sys
import time

from answers import compare_answers
from client import OFFSET, Failure, Server, say
from logs import compare_logs
from sale import LIVES, RECORDS, SHORT_TTL_SECS, Sale


def sell_directory(old, new, directory, how, seed):
    """Three processes one after the other; returns the sale, the kinds of its records, and when the last process ended."""
    sale, records = Sale(seed), collections.Counter()
    for life, (cores, snapshot_log_bytes, ttl_secs) in enumerate(LIVES):
        sale.server = Server(old, directory, cores, OFFSET + 200, snapshot_log_bytes, ttl_secs)
        if life == 0:
            sale.find_runs()
        if ttl_secs == SHORT_TTL_SECS:
            sale.let_expire(sale.runs[life::3], str(life))
        else:
            for n, run_of_train in enumerate(sale.runs):
                sale.sell(run_of_train, f"{life}-{n}")
        sale.sell_until_end(f"{life}-load", how)
        ended_ms = time.time() * 1_000
        records += compare_logs(old, new, directory)
        names = [name for _, _, names in os.walk(directory) for name in names]
        segments, snapshots = [sum(name.startswith(kind) for name in names) for kind in ("log-", "snapshot-")]
        say(f"{os.path.basename(directory)}, process {life + 1}, on {cores} cores: {len(sale.sent)} writes so far; "
            f"{segments} segments, {snapshots} snapshots")
        if snapshots < cores or segments <= 2 * cores:
            raise Failure("too little was written: there have to be snapshots, and several segments behind them")
    return sale, records, ended_ms


def prove(old, new, work):
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    records = collections.Counter()
    for seed, (name, how) in enumerate((("stopped", signal.SIGTERM), ("killed", signal.SIGKILL))):
        directory = os.path.join(work, name)
        sale, some, ended_ms = sell_directory(old, new, directory, how, seed)
        records += some
        for cores in (2, 1):
            count = compare_answers(sale, old, new, directory, cores, ended_ms)
            say(f"{name}, read on {cores} core{'s'[:cores - 1]}: {count} answers are the same")
    if RECORDS - records.keys():
        raise Failure(f"these kinds of records were not met: {sorted(RECORDS - records.keys())}")
    say(f"{records.total()} records of logs are the same, of {len(records)} kinds")


def main():
    old, new, work = sys.argv[1:]
    began = time.time()
    print(f"old: {old}\nnew: {new}", flush=True)
    try:
        prove(old, new, work)
    except Failure as failure:
        print(f"FAILED: {failure}\nwhat was written is in {work}", file=sys.stderr)
        return 1
    finally:
        for server in Server.running:
            server.process.kill()
    shutil.rmtree(work)
    print(f"the new binary opens what the old one wrote, and answers the same ({time.time() - began:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
