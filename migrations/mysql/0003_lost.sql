-- Rows that were changed after the moment of a backup which was restored, as they were then. A rebuild puts them here.

CREATE TABLE IF NOT EXISTS orders_lost LIKE orders;
CREATE TABLE IF NOT EXISTS payments_lost LIKE payments;
CREATE TABLE IF NOT EXISTS tickets_lost LIKE tickets;
CREATE TABLE IF NOT EXISTS query_order_view_lost LIKE query_order_view;
CREATE TABLE IF NOT EXISTS refunds_lost LIKE refunds;
