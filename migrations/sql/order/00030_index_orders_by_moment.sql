-- A member's orders are listed newest first, by the moment at which they were
-- placed. Rows from before created_at have no moment (NULL); they are older than
-- all others, and sorted among themselves by the local date and time. This index
-- has the whole order, and replaces the one by date and time.
--
-- CONCURRENTLY lets the writers go on meanwhile, and cannot run in a transaction.
-- A run that is cut off leaves an invalid index of this name, so the next run
-- drops it first. It waits for every open transaction, however long: no lock
-- time-out.

-- +goose NO TRANSACTION

-- +goose Up
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS orders_member_id_created_at_idx;
CREATE INDEX CONCURRENTLY orders_member_id_created_at_idx
    ON orders (member_id, created_at DESC NULLS LAST, date DESC, time DESC, order_id DESC);
DROP INDEX CONCURRENTLY IF EXISTS orders_member_id_date_time_order_id_idx;
RESET lock_timeout;

-- +goose Down
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS orders_member_id_date_time_order_id_idx;
CREATE INDEX CONCURRENTLY orders_member_id_date_time_order_id_idx ON orders (member_id, date DESC, time DESC, order_id DESC);
DROP INDEX CONCURRENTLY IF EXISTS orders_member_id_created_at_idx;
RESET lock_timeout;
