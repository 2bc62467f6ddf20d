-- A member_id of 51 to 100 characters could register, but never order.
-- Widening a varchar changes the catalog only: no row is read or written.

-- +goose Up
ALTER TABLE orders ALTER COLUMN member_id TYPE VARCHAR(100);

-- +goose Down
-- Fails, and changes nothing, once a longer id has ordered.
ALTER TABLE orders ALTER COLUMN member_id TYPE VARCHAR(50);
