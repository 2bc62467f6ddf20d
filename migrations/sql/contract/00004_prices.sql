-- Prices of the menu are exact, as the services have read the float all along. The menu
-- is small: it is rewritten, and its indexes are built anew, under one lock.

-- +goose Up
ALTER TABLE pizza
    ALTER COLUMN price DROP DEFAULT,
    ALTER COLUMN price TYPE NUMERIC(10,2) USING menu_price(price),
    ALTER COLUMN price SET NOT NULL,
    ALTER COLUMN size SET NOT NULL;
ANALYZE pizza;
