-- Rows that a restored backup does not have: they were changed after its moment. A rebuild moves them here, as they were.

CREATE TABLE IF NOT EXISTS orders_lost LIKE orders;
CREATE TABLE IF NOT EXISTS payments_lost LIKE payments;
CREATE TABLE IF NOT EXISTS tickets_lost LIKE tickets;
CREATE TABLE IF NOT EXISTS query_order_view_lost LIKE query_order_view;
CREATE TABLE IF NOT EXISTS refunds_lost LIKE refunds;
