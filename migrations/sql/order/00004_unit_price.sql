-- Order lines carried no price, so that history changed when the menu did. Now
-- a line keeps the unit price of its moment. NULL is not recorded: the lines of
-- the old system, past and present, have none.
--
-- NOT VALID spares the table a scan under lock; the only rows that it leaves
-- unchecked are those that have no price.

-- +goose Up
ALTER TABLE order_detail ADD COLUMN unit_price NUMERIC(10,2);
ALTER TABLE order_detail ADD CONSTRAINT order_detail_unit_price_check CHECK (unit_price >= 0) NOT VALID;

-- +goose Down
ALTER TABLE order_detail DROP COLUMN unit_price;
