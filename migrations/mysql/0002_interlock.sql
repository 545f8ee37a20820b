-- The same tables as Interlock fills them, whether they were made by 0001 or by the system before.
--
-- Ids are compared byte by byte. Times are UTC with milliseconds. `life`, `slot` and `seq` say how far a row has come; a row of the system
-- before has none, and is never touched. Indexes are found by their columns: nobody knows what the old ones were called.

-- A key may be used again once its order has left, so it is unique no more.
SET @statement = (SELECT CONCAT('ALTER TABLE orders ', GROUP_CONCAT(CONCAT('DROP INDEX `', index_name, '`') SEPARATOR ', '))
    FROM (SELECT index_name FROM information_schema.statistics
        WHERE table_schema = DATABASE() AND table_name = 'orders' AND non_unique = 0 AND index_name <> 'PRIMARY'
        GROUP BY index_name HAVING GROUP_CONCAT(column_name) = 'idempotency_key') AS found);
SET @statement = IFNULL(@statement, 'DO 0');
PREPARE statement FROM @statement;
EXECUTE statement;
DEALLOCATE PREPARE statement;

-- A transaction pays one order; in the table that is the pair's to say.
SET @statement = (SELECT CONCAT('ALTER TABLE payments ', GROUP_CONCAT(CONCAT('DROP INDEX `', index_name, '`') SEPARATOR ', '))
    FROM (SELECT index_name FROM information_schema.statistics
        WHERE table_schema = DATABASE() AND table_name = 'payments' AND non_unique = 0 AND index_name <> 'PRIMARY'
        GROUP BY index_name HAVING GROUP_CONCAT(column_name) = 'provider_txn_id') AS found);
SET @statement = IFNULL(@statement, 'DO 0');
PREPARE statement FROM @statement;
EXECUTE statement;
DEALLOCATE PREPARE statement;

ALTER TABLE orders
    MODIFY order_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    MODIFY idempotency_key VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    MODIFY created_at DATETIME(3) NOT NULL,
    MODIFY updated_at DATETIME(3) NOT NULL;
ALTER TABLE orders ADD COLUMN partition_key VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL;
ALTER TABLE orders ADD COLUMN hold_id VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL;
ALTER TABLE orders ADD COLUMN qty INT UNSIGNED NULL;
ALTER TABLE orders ADD COLUMN from_index SMALLINT UNSIGNED NULL;
ALTER TABLE orders ADD COLUMN to_index SMALLINT UNSIGNED NULL;
ALTER TABLE orders ADD COLUMN seats JSON NULL;
ALTER TABLE orders ADD COLUMN expires_at DATETIME(3) NULL;
ALTER TABLE orders ADD COLUMN cancel_reason VARCHAR(32) NULL;
ALTER TABLE orders ADD COLUMN provider_txn_id VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL;
ALTER TABLE orders ADD COLUMN life BIGINT UNSIGNED NULL;
ALTER TABLE orders ADD COLUMN slot SMALLINT UNSIGNED NULL;
ALTER TABLE orders ADD COLUMN seq BIGINT UNSIGNED NULL;
CREATE INDEX orders_by_key ON orders (idempotency_key);
CREATE INDEX orders_by_partition ON orders (partition_key, created_at);
CREATE INDEX orders_by_creation ON orders (created_at);

ALTER TABLE payments
    MODIFY payment_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    MODIFY order_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    MODIFY provider_txn_id VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    MODIFY created_at DATETIME(3) NOT NULL,
    MODIFY updated_at DATETIME(3) NOT NULL;
ALTER TABLE payments ADD COLUMN life BIGINT UNSIGNED NULL;
ALTER TABLE payments ADD COLUMN slot SMALLINT UNSIGNED NULL;
ALTER TABLE payments ADD COLUMN seq BIGINT UNSIGNED NULL;
CREATE UNIQUE INDEX payments_by_order ON payments (order_id, provider_txn_id);
CREATE INDEX payments_by_txn ON payments (provider_txn_id);

ALTER TABLE tickets
    MODIFY ticket_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    MODIFY order_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    MODIFY passenger_name MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    MODIFY created_at DATETIME(3) NOT NULL;
ALTER TABLE tickets ADD COLUMN seat_no MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL;
ALTER TABLE tickets ADD COLUMN life BIGINT UNSIGNED NULL;
ALTER TABLE tickets ADD COLUMN slot SMALLINT UNSIGNED NULL;
ALTER TABLE tickets ADD COLUMN seq BIGINT UNSIGNED NULL;

ALTER TABLE query_order_view
    MODIFY order_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    MODIFY provider_txn_id VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    MODIFY seat_no MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    MODIFY updated_at DATETIME(3) NOT NULL;
ALTER TABLE query_order_view ADD COLUMN life BIGINT UNSIGNED NULL;
ALTER TABLE query_order_view ADD COLUMN slot SMALLINT UNSIGNED NULL;
ALTER TABLE query_order_view ADD COLUMN seq BIGINT UNSIGNED NULL;

ALTER TABLE stations
    MODIFY station_code VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    MODIFY station_name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL;

CREATE TABLE IF NOT EXISTS refunds (
    order_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    provider_txn_id VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    amount_cents BIGINT NULL,
    reason VARCHAR(32) NOT NULL,
    detail VARCHAR(64) NULL,
    status VARCHAR(16) NOT NULL,
    reference VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    created_at DATETIME(3) NOT NULL,
    settled_at DATETIME(3) NULL,
    life BIGINT UNSIGNED NOT NULL,
    slot SMALLINT UNSIGNED NOT NULL,
    seq BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (order_id, provider_txn_id),
    KEY refunds_by_status (status, created_at)
) ENGINE = InnoDB;

-- Whose tables these are, and how far they have come: one row, changed in the transaction of what it stands for. `cores` has the last record
-- of each core, separated by commas; it is empty while a copy of the state is not whole. `version` tells whether somebody else has changed it.
CREATE TABLE IF NOT EXISTS interlock_cursor (
    one TINYINT NOT NULL PRIMARY KEY,
    directory CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    life BIGINT UNSIGNED NOT NULL,
    epoch INT UNSIGNED NOT NULL,
    cores TEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    version BIGINT UNSIGNED NOT NULL,
    moved_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3)
) ENGINE = InnoDB;
