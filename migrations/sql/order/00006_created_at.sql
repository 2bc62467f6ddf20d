-- date and time are text in the shop's local time; this is the moment itself.
-- The column comes without a default, so that old rows stay NULL (not recorded)
-- and none is rewritten; the default is for rows to come, the old system's too.

-- +goose Up
ALTER TABLE orders ADD COLUMN created_at TIMESTAMPTZ;
ALTER TABLE orders ALTER COLUMN created_at SET DEFAULT now();

-- +goose Down
ALTER TABLE orders DROP COLUMN created_at;
