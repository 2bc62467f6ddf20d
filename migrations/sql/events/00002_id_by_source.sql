-- An event is known again by its source and its id (CloudEvents 1.0, "id"), so
-- that nobody can suppress an event of somebody else by publishing its id first.
-- Old events are deleted source by source.
--
-- CONCURRENTLY lets the writers go on meanwhile, and cannot run in a
-- transaction. A run that is cut off leaves an invalid index of this name, so
-- the next one drops it first. It waits for every transaction that is open,
-- however long: no lock time-out.

-- +goose NO TRANSACTION

-- +goose Up
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS event_source_id_idx;
CREATE UNIQUE INDEX CONCURRENTLY event_source_id_idx ON event ((body ->> 'source'), id);
DROP INDEX CONCURRENTLY IF EXISTS event_source_published_at_idx;
CREATE INDEX CONCURRENTLY event_source_published_at_idx ON event ((body ->> 'source'), published_at);
DROP INDEX CONCURRENTLY IF EXISTS event_published_at;
RESET lock_timeout;
ALTER TABLE event DROP CONSTRAINT IF EXISTS event_id_key;

-- +goose Down
ALTER TABLE event ADD CONSTRAINT event_id_key UNIQUE (id);
SET lock_timeout = 0;
CREATE INDEX CONCURRENTLY event_published_at ON event (published_at);
DROP INDEX CONCURRENTLY IF EXISTS event_source_published_at_idx;
DROP INDEX CONCURRENTLY IF EXISTS event_source_id_idx;
RESET lock_timeout;
