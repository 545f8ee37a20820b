-- The read model. docs/read-model.md explains its tables; what it says there stays true.
--
-- Times are texts, RFC 3339 in UTC with milliseconds, so that they sort. Seats are JSON arrays of labels. Amounts are cents.
-- `life`, `slot` and `seq` say how far a row has come: it only goes forwards within a life.

-- How far everything here is durable: a row for each core of the log's epoch. No row: a copy of the state is not whole yet.
CREATE TABLE cursor (
    directory BLOB NOT NULL,
    life INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    core INTEGER NOT NULL PRIMARY KEY,
    lsn INTEGER NOT NULL
) STRICT;

CREATE TABLE orders (
    id INTEGER NOT NULL PRIMARY KEY,
    order_id TEXT NOT NULL UNIQUE,
    idempotency_key TEXT NOT NULL,
    status TEXT NOT NULL,
    amount_cents INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
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
    life INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    seq INTEGER NOT NULL
) STRICT;
-- Each in the order of a listing, so that a page is read and nothing is sorted.
CREATE INDEX orders_by_creation ON orders (created_at, order_id);
CREATE INDEX orders_by_key ON orders (idempotency_key, created_at, order_id);
CREATE INDEX orders_by_txn ON orders (provider_txn_id, created_at, order_id) WHERE provider_txn_id IS NOT NULL;
CREATE INDEX orders_by_run ON orders (train, travel_date, created_at, order_id) WHERE train IS NOT NULL;

CREATE TABLE payments (
    id INTEGER NOT NULL PRIMARY KEY,
    payment_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    provider_txn_id TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    life INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    UNIQUE (order_id, provider_txn_id)
) STRICT;

CREATE TABLE tickets (
    id INTEGER NOT NULL PRIMARY KEY,
    ticket_id TEXT NOT NULL,
    order_id TEXT NOT NULL UNIQUE,
    passenger_name TEXT NOT NULL,
    seat_no TEXT NOT NULL,
    created_at TEXT NOT NULL,
    life INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    seq INTEGER NOT NULL
) STRICT;

CREATE TABLE refunds (
    order_id TEXT NOT NULL,
    provider_txn_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    amount_cents INTEGER,
    reason TEXT NOT NULL,
    status TEXT NOT NULL,
    reference TEXT,
    created_at TEXT NOT NULL,
    settled_at TEXT,
    life INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (order_id, provider_txn_id)
) STRICT, WITHOUT ROWID;

-- Histories. `position` in HTTP is (time, slot, seq, idx).
CREATE TABLE order_history (
    order_id TEXT NOT NULL,
    time TEXT NOT NULL,
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
    PRIMARY KEY (order_id, time, slot, seq, idx, life)
) STRICT, WITHOUT ROWID;

-- `run` is the partition's key without its class where it is `train|date|class`, else the whole key.
CREATE TABLE run_history (
    run TEXT NOT NULL,
    time TEXT NOT NULL,
    slot INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    life INTEGER NOT NULL,
    train TEXT,
    travel_date TEXT,
    class TEXT,
    kind TEXT NOT NULL,
    partition_key TEXT NOT NULL,
    hold_id TEXT,
    order_id TEXT,
    qty INTEGER,
    seats TEXT,
    from_index INTEGER,
    to_index INTEGER,
    reason TEXT,
    trace_id TEXT,
    PRIMARY KEY (run, time, slot, seq, idx, life)
) STRICT, WITHOUT ROWID;

-- Derived from `orders`: seats are a ticket's, before they are only held.
CREATE VIEW query_order_view AS
SELECT
    order_id,
    status,
    amount_cents,
    provider_txn_id,
    CASE WHEN status = 'TICKETED' THEN (SELECT seat_no FROM tickets WHERE tickets.order_id = orders.order_id) END AS seat_no,
    updated_at
FROM orders;
