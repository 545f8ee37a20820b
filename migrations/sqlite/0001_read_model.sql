-- The read model. docs/read-model.md explains what its readers may rely on: the views and `refunds`.
--
-- Tables are laid out for writing: what is written about the same time is kept in the same pages. So orders and their events are
-- kept by a number that grows, and few indexes have keys that come in no order. Views show them under the names that readers know.
--
-- Times of orders are texts, RFC 3339 in UTC with milliseconds, so that they sort; `at` of events is milliseconds since 1970. Seats
-- are JSON arrays of labels. Amounts are cents. `life`, `slot` and `seq` say how far a row has come: it only goes forwards in a life.

-- How far everything here is durable: a row for each core of the log's epoch. No row: a copy of the state is not whole yet.
CREATE TABLE cursor (
    directory BLOB NOT NULL,
    life INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    core INTEGER NOT NULL PRIMARY KEY,
    lsn INTEGER NOT NULL
) STRICT;

-- What is not here: it had left the engine before its state was copied, or was kept for long enough. No row: everything is here.
CREATE TABLE lost_history (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    orders_and_refunds INTEGER NOT NULL
) STRICT;

-- `left_at`: the engine does not have it since then.
-- An order, its payment and its ticket. The first record that names an order may be that of its hold: until its own comes, there is
-- nothing but the id.
CREATE TABLE order_rows (
    id INTEGER NOT NULL PRIMARY KEY,
    order_id TEXT NOT NULL UNIQUE,
    idempotency_key TEXT,
    status TEXT,
    amount_cents INTEGER,
    created_at TEXT,
    updated_at TEXT,
    partition_key TEXT,
    train TEXT,
    travel_date TEXT,
    class TEXT,
    hold_id TEXT,
    qty INTEGER,
    from_index INTEGER,
    to_index INTEGER,
    seats TEXT,
    expires_at TEXT,
    cancel_reason TEXT,
    provider_txn_id TEXT,
    payment_id TEXT,
    paid_at TEXT,
    ticket_id TEXT,
    ticketed_at TEXT,
    life INTEGER,
    slot INTEGER,
    seq INTEGER,
    left_at TEXT
) STRICT;
-- Each in the order of a listing, so that a page is read and nothing is sorted.
CREATE INDEX orders_by_creation ON order_rows (created_at, order_id);
CREATE INDEX orders_by_key ON order_rows (idempotency_key, created_at, order_id) WHERE idempotency_key IS NOT NULL;
CREATE INDEX orders_by_txn ON order_rows (provider_txn_id, created_at, order_id) WHERE provider_txn_id IS NOT NULL;
CREATE INDEX orders_by_run ON order_rows (travel_date, train, created_at, order_id) WHERE train IS NOT NULL;
-- What left the engine, in the order in which it did: what leaves from here.
CREATE INDEX orders_by_leaving ON order_rows (left_at) WHERE left_at IS NOT NULL;
-- For reports by day; payments come in the order of their time, so it costs little.
CREATE INDEX orders_by_payment ON order_rows (paid_at) WHERE payment_id IS NOT NULL;

CREATE TABLE refunds (
    order_id TEXT NOT NULL,
    provider_txn_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    amount_cents INTEGER,
    reason TEXT NOT NULL,
    detail TEXT,
    status TEXT NOT NULL,
    reference TEXT,
    created_at TEXT NOT NULL,
    settled_at TEXT,
    life INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    left_at TEXT,
    PRIMARY KEY (order_id, provider_txn_id)
) STRICT, WITHOUT ROWID;
-- A refund that leaves the engine is named by its number.
CREATE INDEX refunds_by_number ON refunds (slot, number);
-- As of orders.
CREATE INDEX refunds_by_leaving ON refunds (left_at) WHERE left_at IS NOT NULL;

-- Events of orders. `hold_id` is left out where it is the order's id, which it mostly is.
CREATE TABLE order_events (
    order_row INTEGER NOT NULL,
    at INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    life INTEGER NOT NULL,
    kind TEXT NOT NULL,
    partition_key TEXT,
    hold_id TEXT,
    qty INTEGER,
    seats TEXT,
    from_index INTEGER,
    to_index INTEGER,
    reason TEXT,
    trace_id TEXT,
    PRIMARY KEY (order_row, at, slot, seq, idx, life)
) STRICT, WITHOUT ROWID;

-- Events of runs: `run` is `train|date` and `class` the rest of the partition's key. Of a key of another shape `run` is all of it.
CREATE TABLE run_events (
    run TEXT NOT NULL,
    at INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    life INTEGER NOT NULL,
    class TEXT,
    kind TEXT NOT NULL,
    hold_id TEXT,
    order_row INTEGER,
    qty INTEGER,
    seats TEXT,
    from_index INTEGER,
    to_index INTEGER,
    reason TEXT,
    trace_id TEXT,
    PRIMARY KEY (run, at, slot, seq, idx, life)
) STRICT, WITHOUT ROWID;

-- Partitions that the engine does not have since `at`, until their events leave: a run's, or an ad hoc one's with its key as `run`. `class` is
-- empty where the key has none.
CREATE TABLE partitions_left (
    run TEXT NOT NULL,
    class TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (run, class)
) STRICT, WITHOUT ROWID;
CREATE INDEX partitions_left_by_time ON partitions_left (at);

CREATE VIEW orders AS
SELECT
    id, order_id, idempotency_key, status, amount_cents, created_at, updated_at, partition_key, train, travel_date, class,
    hold_id, qty, from_index, to_index, seats, expires_at, cancel_reason, provider_txn_id, life, slot, seq
FROM order_rows
WHERE created_at IS NOT NULL;

CREATE VIEW payments AS
SELECT
    id, payment_id, order_id, provider_txn_id, 'SUCCESS' AS status, paid_at AS created_at, paid_at AS updated_at,
    life, slot, seq
FROM order_rows
WHERE payment_id IS NOT NULL;

CREATE VIEW tickets AS
SELECT
    id, ticket_id, order_id,
    (SELECT group_concat(value, ',') FROM json_each(seats)) AS passenger_name,
    (SELECT group_concat(value, ',') FROM json_each(seats)) AS seat_no,
    ticketed_at AS created_at,
    life, slot, seq
FROM order_rows
WHERE ticket_id IS NOT NULL;

-- Seats are a ticket's: before there is one, they are only held.
CREATE VIEW query_order_view AS
SELECT
    order_id, status, amount_cents, provider_txn_id,
    CASE WHEN status = 'TICKETED' THEN (SELECT group_concat(value, ',') FROM json_each(seats)) END AS seat_no,
    updated_at
FROM order_rows
WHERE created_at IS NOT NULL;

-- The position of an event is (time, slot, seq, idx).
CREATE VIEW order_history AS
SELECT
    order_id,
    strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch') AS time,
    order_events.slot, order_events.seq, idx, kind, order_events.partition_key,
    CASE WHEN order_events.partition_key IS NOT NULL THEN coalesce(order_events.hold_id, order_id) END AS hold_id,
    order_events.qty, order_events.seats, order_events.from_index, order_events.to_index, reason, trace_id,
    order_events.life
FROM order_events JOIN order_rows ON order_rows.id = order_row;

CREATE VIEW run_history AS
SELECT
    run,
    CASE WHEN run_events.class IS NOT NULL THEN substr(run, 1, length(run) - 11) END AS train,
    CASE WHEN run_events.class IS NOT NULL THEN substr(run, -10) END AS travel_date,
    run_events.class,
    strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch') AS time,
    run_events.slot, run_events.seq, idx, kind,
    CASE WHEN run_events.class IS NOT NULL THEN run || '|' || run_events.class ELSE run END AS partition_key,
    coalesce(run_events.hold_id, order_id) AS hold_id,
    order_id, run_events.qty, run_events.seats, run_events.from_index, run_events.to_index, reason, trace_id,
    run_events.life
FROM run_events LEFT JOIN order_rows ON order_rows.id = order_row;
