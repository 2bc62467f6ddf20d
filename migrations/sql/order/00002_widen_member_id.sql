-- A member_id of 51 to 100 characters could register, but never order.
-- Widening a varchar changes the catalog only: no row is read or written. A column of
-- the old system that is as wide, or wider, stays: to narrow it would read each row
-- under the lock.

-- +goose Up
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'member_id'
               AND atttypid = 'varchar'::regtype AND atttypmod BETWEEN 4 AND 4 + 99) THEN
        ALTER TABLE orders ALTER COLUMN member_id TYPE VARCHAR(100);
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
-- Fails, and changes nothing, once a longer id has ordered.
ALTER TABLE orders ALTER COLUMN member_id TYPE VARCHAR(50);
