-- The tables that readers use, as the system before this one made them. Where it did, nothing is done here.
--
-- A statement ends with a semicolon at the end of its line. Each can run again: a crash between a statement and the next start repeats the
-- file from its beginning.

CREATE TABLE IF NOT EXISTS orders (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    order_id VARCHAR(64) NOT NULL,
    idempotency_key VARCHAR(128) NOT NULL,
    status VARCHAR(32) NOT NULL,
    amount_cents BIGINT NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    UNIQUE KEY uk_orders_order_id (order_id),
    UNIQUE KEY uk_orders_idempotency_key (idempotency_key)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE IF NOT EXISTS payments (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    payment_id VARCHAR(64) NOT NULL,
    order_id VARCHAR(64) NOT NULL,
    provider_txn_id VARCHAR(128) NOT NULL,
    status VARCHAR(32) NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    UNIQUE KEY uk_payments_payment_id (payment_id),
    UNIQUE KEY uk_payments_provider_txn_id (provider_txn_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE IF NOT EXISTS tickets (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    ticket_id VARCHAR(64) NOT NULL,
    order_id VARCHAR(64) NOT NULL,
    passenger_name VARCHAR(64) NOT NULL,
    created_at DATETIME NOT NULL,
    UNIQUE KEY uk_tickets_ticket_id (ticket_id),
    UNIQUE KEY uk_tickets_order_id (order_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE IF NOT EXISTS query_order_view (
    order_id VARCHAR(64) NOT NULL PRIMARY KEY,
    status VARCHAR(32) NOT NULL,
    amount_cents BIGINT NOT NULL,
    provider_txn_id VARCHAR(128) NULL,
    seat_no VARCHAR(64) NULL,
    updated_at DATETIME NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE IF NOT EXISTS stations (
    station_code VARCHAR(64) NOT NULL PRIMARY KEY,
    station_name VARCHAR(128) NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
