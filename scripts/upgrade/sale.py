"""What is sold with the old binary."""

import collections
import datetime
import hashlib
import hmac
import http.client
import itertools
import json
import random
import threading
import time

from client import HOLD_TTL_SECS, SIGN_KEY, SNAPSHOT_LOG_BYTES, Client, Failure, get, post, run_path, url

SHORT_TTL_SECS = 1
# Tries of a request that is refused for now.
RETRIES_MAX = 50
# The processes that sell into a directory: cores, bytes of log between snapshots, seconds that a hold lasts. The first makes
# snapshots while it sells. The others begin with one, because they have other cores, and make none, so that the log keeps all
# that they record.
LIVES = [(2, SNAPSHOT_LOG_BYTES, HOLD_TTL_SECS), (3, 1 << 30, SHORT_TTL_SECS), (2, 1 << 30, HOLD_TTL_SECS)]
TRAINS = ["G1", "G7", "G31", "C801/C804", "D301"]
# Every kind of record that is written without much waiting. All of them have to be met in the dumps.
RECORDS = {
    "partition_opened", "hold_made", "hold_adopted", "hold_confirmed", "hold_released", "holds_expired", "order_created",
    "order_reserved", "order_paid", "order_ticketed", "order_cancelled", "txn_claimed", "refund_owed", "refund_settled",
    "tells_acked",
}
DEFAULT_PARTITION = "G123|2026-02-11|2nd"

Run = collections.namedtuple("Run", "train date stops partitions")


class Sale:
    """What one directory sells. Every request is kept, so that it can be repeated."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.server = None
        self.sent = []
        self.orders = []
        self.partitions = {}
        self.runs = []

    def post(self, path, expected, **fields):
        request = post(path, fields)
        self.sent.append(request)
        answer = self.server.client.send(request)
        for _ in range(RETRIES_MAX):
            if answer.status != 503:
                break
            # A busy disk has not made the next segment yet: nothing was done, and it may be tried again.
            time.sleep(0.2)
            answer = self.server.client.send(request)
        if answer.status != expected:
            raise Failure(f"selling: expected {expected} from {request}, not {answer}")
        return json.loads(answer.body)

    def hold(self, expected, key, hold, qty, span, capacity=100):
        self.partitions[key] = max(self.partitions.get(key, 0), span[1])
        self.post("/inventory/try-hold", expected, partition_key=key, hold_id=hold, qty=qty, capacity=capacity,
                  from_index=span[0], to_index=span[1])

    def end_hold(self, what, expected, key, hold):
        self.post(f"/inventory/{what}-hold", expected, partition_key=key, hold_id=hold)

    def create(self, tag):
        order = self.post("/orders", 200, idempotency_key=tag, amount_cents=1_000 + len(self.orders))["OrderID"]
        self.orders.append(order)
        return order

    def reserve(self, expected, order, key, qty, span, **more):
        self.partitions[key] = max(self.partitions.get(key, 0), span[1])
        self.post("/orders/reserve", expected, order_id=order, partition_key=key, qty=qty, from_index=span[0],
                  to_index=span[1], **more)

    def pay(self, expected, order, txn):
        self.post("/payments/callback", expected, **payment(order, txn))

    def find_runs(self):
        """Runs of the timetable: of each train two, on days when seats are sold for a while yet."""
        today = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8))).date()
        for train, days in itertools.product(TRAINS, (1, 2)):
            date = str(today + datetime.timedelta(days))
            answer = self.server.client.send(get(run_path(train, date)))
            if answer.status != 200:
                raise Failure(f"the old binary's timetable has no {train} on {date}: {answer}")
            run = json.loads(answer.body)
            large = [c["partition_key"] for c in run["classes"] if c["capacity"] >= 40]
            self.runs.append(Run(train, date, len(run["stops"]), large))
        # Ad hoc: shaped like a run that no timetable has, and a name of any kind.
        self.runs.append(Run("X9", str(today), 2, [f"X9|{today}|2nd"]))
        self.runs.append(Run(None, None, 2, ["a concert, row \u00e9"]))

    def span(self, run):
        return tuple(sorted(self.random.sample(range(run.stops), 2)))

    def sell(self, run, tag):
        """Something of everything, on one run."""
        key = self.random.choice(run.partitions)
        for n in range(6):
            hold, qty, span = f"{tag}-{n}", self.random.randint(1, 3), self.span(run)
            self.hold(200, key, hold, qty, span)
            if n % 3 == 0:
                self.hold(200, key, hold, qty, span)
                self.hold(409, key, hold, qty + 1, span)
            first, second = [("release", "confirm"), ("confirm", "release"), (None, None)][n % 3]
            if first:
                self.end_hold(first, 200, key, hold)
                self.end_hold(first, 200, key, hold)
                self.end_hold(second, 409, key, hold)
        self.hold(400, key, f"{tag}-all", 2_000, (0, run.stops - 1))
        self.sell_orders(run, key, tag)

    def sell_orders(self, run, key, tag):
        created, reserved, cancelled, ticketed, adopter = [self.create(f"{tag}-{n}") for n in range(5)]
        self.post("/orders", 422, idempotency_key=f"{tag}-0", amount_cents=7)
        for order in (reserved, cancelled, ticketed):
            qty, span = self.random.randint(1, 3), self.span(run)
            self.reserve(200, order, key, qty, span)
            self.reserve(200, order, key, qty, span)
        self.reserve(409, reserved, key, 5, (0, 1))
        self.post("/orders/cancel", 200, order_id=cancelled)
        self.pay(409, cancelled, f"{tag}-late")  # a refund owed
        self.pay(200, ticketed, f"{tag}-paid")
        self.pay(200, ticketed, f"{tag}-paid")
        self.pay(409, ticketed, f"{tag}-twice")  # a refund owed
        self.pay(409, reserved, f"{tag}-paid")  # somebody else's
        self.pay(409, created, f"{tag}-early")  # a refund owed
        self.pay(404, f"unknown-{tag}", f"{tag}-unmatched")  # a refund owed
        self.post("/orders/cancel", 409, order_id=ticketed)
        settle = {"order_id": ticketed, "provider_txn_id": f"{tag}-twice"}
        self.post("/v1/refunds/settle", 200, **settle, reference=f"{tag}-back")
        self.post("/v1/refunds/settle", 200, **settle, reference=f"{tag}-back")
        span = self.span(run)
        self.hold(200, key, f"{tag}-adopted", 2, span)
        self.reserve(200, adopter, key, 2, span, hold_id=f"{tag}-adopted")
        self.end_hold("confirm", 409, key, f"{tag}-adopted")
        self.pay(200, adopter, f"{tag}-adopter")
        # Everything that has a default, by default.
        self.post("/orders/reserve", 200, order_id=created)
        self.partitions[DEFAULT_PARTITION] = 1
        self.post("/inventory/try-hold", 200, partition_key=f"default|{tag}", hold_id="h", qty=1)
        self.partitions[f"default|{tag}"] = 1

    def let_expire(self, runs, tag):
        """Holds and reservations that nobody pays for in time; to be sold with a short time to live."""
        late = []
        for n, run in enumerate(runs):
            key, span = run.partitions[0], self.span(run)
            orders = [self.create(f"{tag}-{n}-{i}") for i in range(3)]
            for i, order in enumerate(orders):
                self.reserve(200, order, key, 1 + i, span)
                self.hold(200, key, f"{tag}-{n}-{i}", 1 + i, span)
            self.hold(200, key, f"{tag}-{n}-sold", 1, span)
            self.end_hold("confirm", 200, key, f"{tag}-{n}-sold")
            late.append((key, span, orders))
        for n, (key, span, orders) in enumerate(late):
            for order in orders:
                self.wait(order, "CANCELLED")
            self.hold(409, key, f"{tag}-{n}-0", 1, span)
            self.end_hold("confirm", 409, key, f"{tag}-{n}-1")
            self.pay(409, orders[0], f"{tag}-{n}-late")  # a refund owed

    def wait(self, order, status):
        deadline = time.time() + 20
        while json.loads(self.server.client.send(get(url("/orders/get", order_id=order))).body)["Status"] != status:
            if time.time() > deadline:
                raise Failure(f"selling: {order} does not become {status}")
            time.sleep(0.05)

    def sell_until_end(self, tag, how):
        """Several clients at a time, in the middle of whose requests the process ends."""
        orders = [[self.create(f"{tag}-{thread}-{n}") for n in range(40)] for thread in range(4)]
        threads = [threading.Thread(target=self.load, args=(f"{tag}-{n}", mine)) for n, mine in enumerate(orders)]
        for thread in threads:
            thread.start()
        time.sleep(self.random.uniform(0.1, 0.2))
        self.server.end(how)
        for thread in threads:
            thread.join()

    def load(self, tag, orders):
        client, key = Client(self.server.offset), f"load|{tag}"
        self.partitions[key] = 1
        seats = {"partition_key": key, "qty": 1, "capacity": 1_000, "from_index": 0, "to_index": 1}
        for n in itertools.count():
            hold = {"partition_key": key, "hold_id": f"{tag}-{n}"}
            ending = ("release", "confirm")[n % 2]
            requests = [post("/inventory/try-hold", seats | hold), post(f"/inventory/{ending}-hold", hold)]
            if n < len(orders):
                requests.append(post("/orders/reserve", seats | {"order_id": orders[n]}))
                requests.append(post("/payments/callback", payment(orders[n], f"{tag}-{n}")))
            for request in requests:
                self.sent.append(request)
                try:
                    client.send(request)
                except (OSError, http.client.HTTPException):
                    return


def payment(order, txn):
    signature = hmac.new(SIGN_KEY.encode(), f"{order}|{txn}|SUCCESS".encode(), hashlib.sha256).hexdigest()
    return {"order_id": order, "provider_txn_id": txn, "status": "SUCCESS", "signature": signature}

