-- An order keeps its total, so that listing orders needs no sum. NULL is not
-- recorded, as for unit_price.
--
-- A file of its own: a transaction that locks two tables can deadlock with a
-- writer that takes them in the other order.

-- +goose Up
ALTER TABLE orders ADD COLUMN total_price NUMERIC(10,2);
ALTER TABLE orders ADD CONSTRAINT orders_total_price_check CHECK (total_price >= 0) NOT VALID;

-- +goose Down
ALTER TABLE orders DROP COLUMN total_price;
