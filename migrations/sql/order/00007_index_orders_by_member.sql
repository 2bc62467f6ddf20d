-- A member's orders are listed newest first, page by page.
--
-- CONCURRENTLY lets the writers go on meanwhile, and cannot run in a
-- transaction. A run that is cut off leaves an invalid index of this name, so
-- the next one drops it first. It waits for every transaction that is open,
-- however long: no lock time-out.

-- +goose NO TRANSACTION

-- +goose Up
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS orders_member_id_date_time_order_id_idx;
CREATE INDEX CONCURRENTLY orders_member_id_date_time_order_id_idx ON orders (member_id, date DESC, time DESC, order_id DESC);
RESET lock_timeout;

-- +goose Down
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS orders_member_id_date_time_order_id_idx;
RESET lock_timeout;
