-- The lines of an order are read with it.
--
-- CONCURRENTLY lets the writers go on meanwhile, and cannot run in a
-- transaction. A run that is cut off leaves an invalid index of this name, so
-- the next one drops it first. It waits for every transaction that is open,
-- however long: no lock time-out.

-- +goose NO TRANSACTION

-- +goose Up
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS order_detail_order_id_idx;
CREATE INDEX CONCURRENTLY order_detail_order_id_idx ON order_detail (order_id);
RESET lock_timeout;

-- +goose Down
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS order_detail_order_id_idx;
RESET lock_timeout;
