-- As for members.

-- +goose NO TRANSACTION

-- +goose Up
ALTER TABLE pizza_types DROP CONSTRAINT IF EXISTS pizza_types_present;
ALTER TABLE pizza_types ADD CONSTRAINT pizza_types_present
    CHECK (pizza_nm IS NOT NULL AND pizza_categ IS NOT NULL AND pizza_img_url IS NOT NULL) NOT VALID;
ALTER TABLE pizza_types VALIDATE CONSTRAINT pizza_types_present;
ALTER TABLE pizza_types ALTER COLUMN pizza_nm SET NOT NULL, ALTER COLUMN pizza_categ SET NOT NULL,
    ALTER COLUMN pizza_img_url SET NOT NULL;
ALTER TABLE pizza_types DROP CONSTRAINT pizza_types_present;
