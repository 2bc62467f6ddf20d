-- A pizza is looked up by the name on the menu.
--
-- CONCURRENTLY lets the writers go on meanwhile, and cannot run in a
-- transaction. A run that is cut off leaves an invalid index of this name, so
-- the next one drops it first. It waits for every transaction that is open,
-- however long: no lock time-out.

-- +goose NO TRANSACTION

-- +goose Up
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS pizza_types_pizza_nm_idx;
CREATE INDEX CONCURRENTLY pizza_types_pizza_nm_idx ON pizza_types (pizza_nm);
RESET lock_timeout;

-- +goose Down
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS pizza_types_pizza_nm_idx;
RESET lock_timeout;
