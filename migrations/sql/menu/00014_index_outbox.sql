-- The relay's own statements read a bounded number of rows, however many were
-- sent: the oldest that waits for a subject, what was sent long ago, what is set
-- aside.
--
-- CONCURRENTLY lets the writers go on meanwhile, and cannot run in a
-- transaction. A run that is cut off leaves an invalid index of this name, so
-- the next one drops it first. It waits for every transaction that is open,
-- however long: no lock time-out.

-- +goose NO TRANSACTION

-- +goose Up
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS menu_outbox_subject_idx;
CREATE INDEX CONCURRENTLY menu_outbox_subject_idx ON menu_outbox (subject, seq) WHERE sent_at IS NULL AND parked_at IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS menu_outbox_sent_idx;
CREATE INDEX CONCURRENTLY menu_outbox_sent_idx ON menu_outbox (sent_at) WHERE sent_at IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS menu_outbox_parked_idx;
CREATE INDEX CONCURRENTLY menu_outbox_parked_idx ON menu_outbox (parked_at) WHERE parked_at IS NOT NULL;
RESET lock_timeout;

-- +goose Down
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS menu_outbox_parked_idx;
DROP INDEX CONCURRENTLY IF EXISTS menu_outbox_sent_idx;
DROP INDEX CONCURRENTLY IF EXISTS menu_outbox_subject_idx;
RESET lock_timeout;
