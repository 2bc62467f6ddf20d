-- The key by which menu authenticates the copies of the catalog that it keeps in
-- Redis. Whoever can write to Redis must not set prices, so the key is where only
-- menu can read it: order and login have no right on this table. It is made here,
-- of 244 random bits, so that no setting has to be chosen, kept and rotated.
-- To replace it, update the row: copies under the old key are then ignored.

-- +goose Up
ALTER TABLE catalog_version ADD COLUMN cache_key BYTEA NOT NULL
    DEFAULT decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');

-- +goose Down
ALTER TABLE catalog_version DROP COLUMN cache_key;
