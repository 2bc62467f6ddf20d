-- The triggers served the old system's INSERTs: numbers by MAX + 1 (order/00003), lines
-- without a price (order/00032). The services leave the number to the identity, and
-- record price and total. price_derived stays: it tells which prices are derived.
--
-- Otherwise as for members.

-- +goose NO TRANSACTION

-- +goose Up
DROP TRIGGER IF EXISTS number_line ON order_detail;
DROP TRIGGER IF EXISTS derive_price ON order_detail;
DROP TRIGGER IF EXISTS derive_new_price ON order_detail;
DROP TRIGGER IF EXISTS derive_total ON order_detail;
DROP TRIGGER IF EXISTS derive_new_total ON order_detail;
DROP FUNCTION IF EXISTS number_line(), derive_price(), derive_total();
ALTER TABLE order_detail DROP CONSTRAINT IF EXISTS order_detail_present;
ALTER TABLE order_detail ADD CONSTRAINT order_detail_present CHECK (quantity IS NOT NULL) NOT VALID;
ALTER TABLE order_detail VALIDATE CONSTRAINT order_detail_present;
ALTER TABLE order_detail ALTER COLUMN quantity SET NOT NULL;
ALTER TABLE order_detail DROP CONSTRAINT order_detail_present;
