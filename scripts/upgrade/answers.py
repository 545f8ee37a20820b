"""What is asked of both binaries, and how their answers are compared."""

import collections
import datetime
import itertools
import json
import os
import re
import shutil
import time

from client import HOLD_TTL_SECS, OFFSET, Failure, Server, get, post, run_path, url
from logs import output_of

# Headers that are made anew for each answer, and the length, to which a new binary adds a newline.
HEADERS_MADE_ANEW = {"date", "x-request-id", "x-trace-id", "content-length"}
# Times of what happens while answers are read: a ticket of an order that was paid just before a kill, a hold that is made by a
# repeat. Those of what was sold before are compared. Of deadlines, "later" is later than any that the sale gave.
TIMES = re.compile(rb'"(CreatedAt|UpdatedAt|created_at|updated_at|settled_at|ExpiresAt|expires_at)":"([^"]*)"')
DEADLINES = {b"ExpiresAt", b"expires_at"}
# A built-in train that calls at stations twice. Once something of it was sold, an old binary (2c25241) offered another journey than
# before; a new one offers the timetable's. The journey is not compared, the rest of the search is.
CALLS_TWICE = "C801/C804"
# What a new binary says of each stop of a run, and an old one (2c25241) does not.
SINKS = re.compile(rb',"sinks":\[[^]]*\]')
STOP_FLAGS = re.compile(rb',"board":(?:true|false),"alight":(?:true|false)')
# Seats that an old binary (2c25241) shows of what has ended, and a new one does not: of a cancelled order, and of a hold.
ENDED_ORDER = b'"Status":"CANCELLED"'
ORDER_SEATS = re.compile(rb',"Seats":\[[^]]*\]')
ENDED_HOLD_SEATS = re.compile(rb'"seats":\[[^]]*\](,"expires_at":"[^"]*","status":"(?:released|expired)")')
# Where the log stands, which each start moves.
WORKER_POSITION = re.compile(rb'"position":\d+')

READS = ["/orders/get", "/query/orders", "/inventory/availability", "/v1/trains", "/v1/trains/no/2026-01-01", "/v1/trains/G1/x"]
WRITES = ["/orders", "/orders/reserve", "/orders/cancel", "/payments/callback", "/inventory/try-hold", "/inventory/release-hold",
          "/inventory/confirm-hold", "/v1/refunds/settle"]


def reads(sale):
    """Everything that can be read about what was sold."""
    for order in sale.orders:
        yield get(url("/orders/get", order_id=order))
        yield get(url("/query/orders", order_id=order))
    for key, last in sale.partitions.items():
        last = max([last] + [run.stops - 1 for run in sale.runs if key in run.partitions])
        yield get(url("/inventory/availability", partition_key=key))
        for span in itertools.combinations(range(last + 2), 2):  # one stop too many as well
            yield get(url("/inventory/availability", partition_key=key, from_index=span[0], to_index=span[1]))
    for status in ("", "required", "settled", "unmatched"):
        yield get(url("/v1/refunds", status=status, limit=7))
    for run in sale.runs:
        if run.train:
            yield get(run_path(run.train, run.date))


def timetable(sale, client):
    """Stations, every search between two of them, and each train on a date of which nothing is sold yet."""
    today = datetime.date.fromisoformat(sale.runs[0].date)
    date, trains = today + datetime.timedelta(5), set()
    yield get("/v1/stations?limit=100")
    stations = json.loads(client.send(get("/v1/stations?limit=100")).body)["stations"]
    for one, other in itertools.permutations([station["code"] for station in stations], 2):
        for day in (today, date):
            search = get(url("/v1/trains", **{"from": one, "to": other, "date": day}))
            trains |= {train["train"] for train in json.loads(client.send(search).body).get("trains", [])}
            yield search
    for train in sorted(trains):
        yield get(run_path(train, date))


def new_sales(sale):
    """What is sold for the first time: of each class that was sold before, and of partitions that were not there."""
    for key, last in list(sale.partitions.items()) + [("new", 1), ("X10|2026-11-11|2nd", 1)]:
        seats = {"partition_key": key, "hold_id": "new", "qty": 3, "from_index": 0, "to_index": last}
        yield post("/inventory/try-hold", seats)
        yield post("/inventory/confirm-hold", {"partition_key": key, "hold_id": "new"})
        yield post("/inventory/try-hold", seats | {"hold_id": "new2", "to_index": 1})


def odd_requests():
    """What is refused, and what says how the process is."""
    for port in range(8080, 8085):
        yield get("/healthz", port)
        yield get("/readyz", port)
        yield get("/nowhere", port)
    yield get("/worker/status")
    yield get("/orders")
    unknown = {"order_id": "unknown", "provider_txn_id": "t", "status": "SUCCESS", "hold_id": "h", "partition_key": "p", "qty": -1}
    for path in WRITES:
        for body in ("", "{", "[]", "{}", json.dumps(unknown)):
            yield get(path)._replace(method="POST", body=body)
    for path in READS:
        yield get(path)
        yield get(path + "?order_id=unknown&partition_key=unknown&from=BJS&to=unknown&date=2026-01-01&from_index=x")


def without_journeys(body):
    """A search without the journeys that trains offer which call twice."""
    found = json.loads(body)
    for train in found.get("trains", []):
        if train["train"] == CALLS_TWICE:
            for key in ("from_index", "to_index", "departs_at", "arrives_at", "classes"):
                del train[key]
    found.get("trains", []).sort(key=lambda train: (train.get("departs_at", ""), train["train"]))
    return json.dumps(found).encode()


def masked(request, answer, ended_ms):
    """An answer without what may differ. `ended_ms`: when the last process that sold ended."""
    def time_of(match):
        at = datetime.datetime.fromisoformat(match[2].decode().replace("Z", "+00:00")).timestamp() * 1_000
        known_until = ended_ms + (HOLD_TTL_SECS * 1_000 if match[1] in DEADLINES else 0)
        return match[0] if at <= known_until else b'"%s":"later"' % match[1]

    headers = sorted((name.lower(), value) for name, value in answer.headers if name.lower() not in HEADERS_MADE_ANEW)
    # A new binary ends its documents with a newline.
    body = WORKER_POSITION.sub(b'"position":0', TIMES.sub(time_of, answer.body.rstrip(b"\n")))
    body = ENDED_HOLD_SEATS.sub(rb'"seats":[]\1', body)
    if ENDED_ORDER in body:
        body = ORDER_SEATS.sub(b"", body)
    if request.path.startswith("/v1/trains?") and CALLS_TWICE.encode() in body:
        body = without_journeys(body)
    # Only the new one has sinks.
    body = SINKS.sub(b"", body)
    if request.path.startswith("/v1/trains/"):
        body = STOP_FLAGS.sub(b"", body)
    return f"{answer.status} {headers} {body.decode()}"


def differences(requests, old, new):
    return [(request, a, b) for request, a, b in zip(requests, old, new, strict=True) if a != b]


def settle(sale, servers):
    """Waits until a crash is dealt with: every paid order has its tickets, and nothing changes any more.

    Orders that hear of their holds again, and those that are swept, do so once a second.
    """
    before, same, deadline = None, 0, time.time() + 30
    while same < 5:
        now = [server.client.send(get(url("/orders/get", order_id=order))).body for server in servers for order in sale.orders]
        is_ticketed = not any(b'"Status":"PAID"' in body for body in now)
        same = same + 1 if now == before and is_ticketed else 0
        if time.time() > deadline:
            raise Failure("orders do not come to rest: some stay PAID" if not is_ticketed else "orders do not come to rest")
        before = now
        time.sleep(0.25)


def compare_answers(sale, old, new, directory, cores, ended_ms):
    servers = []
    for offset, (name, binary) in enumerate((("old", old), ("new", new))):
        shutil.copytree(directory, f"{directory}-{name}-{cores}")
        servers.append(Server(binary, f"{directory}-{name}-{cores}", cores, OFFSET + 100 * offset))
    settle(sale, servers)
    again = list(reads(sale))
    asked = collections.deque(again + list(timetable(sale, servers[0].client)) + list(odd_requests()))
    asked += sale.sent + list(new_sales(sale)) + again
    requests, answers = [], ([], [])
    while asked:
        request = asked.popleft()
        both = [server.client.send(request) for server in servers]
        requests.append(request)
        for seen, answer in zip(answers, both):
            seen.append(masked(request, answer, ended_ms))
        if request.path.startswith("/v1/refunds?") and both[0].status == 200:
            after = json.loads(both[0].body).get("next")
            if after:
                asked.appendleft(get(re.sub("&after=.*", "", request.path) + "&after=" + after))
    refuse(f"{directory} with {cores} cores", differences(requests, *answers))
    check_the_check(requests, *answers)
    check_read_model(sale, servers[1], f"{directory}-new-{cores}")
    for server in servers:
        server.end()
    output_of([new, "log", "check", f"{directory}-new-{cores}"])
    return len(requests)


def check_read_model(sale, server, directory):
    """The new one's read model has every order of the old directory, as the engine answers it, and shows none that is not there."""
    deadline = time.time() + 30
    while True:
        listed, after = {}, ""
        while after is not None:
            page = json.loads(server.client.send(get("/v1/orders?limit=1000" + after)).body)
            listed.update((order["OrderID"], order) for order in page["orders"])
            after = "&after=" + page["next"] if "next" in page else None
        known = [server.client.send(get(url("/orders/get", order_id=order))) for order in sale.orders]
        known = {order["OrderID"]: order for order in (json.loads(answer.body) for answer in known if answer.status == 200)}
        wrong = [order for order, seen in known.items() if listed.get(order) != seen]
        if not wrong:
            break
        if time.time() > deadline:
            raise Failure(f"{directory}: {len(wrong)} of {len(known)} orders are not in the read model as the engine has them, e.g. {wrong[0]}:\n"
                          f"  engine: {known[wrong[0]]}\n  read model: {listed.get(wrong[0])}")
        time.sleep(0.1)
    # New sales have made orders that the sale does not know; those are all that may be there beside its own.
    strangers = [order for order in listed if server.client.send(get(url("/orders/get", order_id=order))).status != 200]
    if strangers or len(known) < 10:
        raise Failure(f"{directory}: {len(known)} orders, and {len(strangers)} in the read model that the engine does not know")


def check_the_check(requests, old, new):
    """One altered answer of each kind has to be noticed."""
    altered, kinds = list(new), set()
    for n, request in enumerate(requests):
        kind = (request.method, request.path.split("?")[0], new[n][:3])
        if kind not in kinds and any(c.isdigit() for c in new[n]):
            kinds.add(kind)
            last = max(at for at, c in enumerate(new[n]) if c.isdigit())
            altered[n] = new[n][:last] + str((int(new[n][last]) + 1) % 10) + new[n][last + 1:]
    if len(differences(requests, old, altered)) != len(kinds):
        raise Failure("the comparison does not notice altered answers")


def refuse(where, found):
    if found:
        shown = [f"{r.method} {r.path} {r.body or ''}\n  old: {a}\n  new: {b}" for r, a, b in map(around, found[:10])]
        raise Failure(f"{where}: {len(found)} answers differ; the first of them:\n" + "\n".join(shown))


def around(difference):
    """The place from which two answers differ, with some text before it."""
    request, old, new = difference
    start = max(0, len(os.path.commonprefix([old, new])) - 60)
    return request, *("..." * (start > 0) + text[start:start + 200] for text in (old, new))
