-- The catalog, as the old system made the tables: a database that it wrote to
-- passes unchanged. The price stays a float as long as the old system reads it.

-- +goose Up
CREATE TABLE IF NOT EXISTS pizza_types (
    pizza_type_id VARCHAR(50) PRIMARY KEY,
    pizza_nm VARCHAR(50) NOT NULL,
    pizza_categ VARCHAR(50) NOT NULL,
    pizza_img_url VARCHAR(100) NOT NULL
);
CREATE TABLE IF NOT EXISTS pizza (
    pizza_id VARCHAR(50) PRIMARY KEY,
    pizza_type_id VARCHAR(50) REFERENCES pizza_types(pizza_type_id),
    size VARCHAR(50) NOT NULL,
    price FLOAT NOT NULL
);

-- +goose Down
LOCK TABLE pizza, pizza_types IN ACCESS EXCLUSIVE MODE;
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pizza) OR EXISTS (SELECT FROM pizza_types) THEN
        RAISE EXCEPTION 'pizza or pizza_types has rows: no step back drops the catalog'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
END
$$;
-- +goose StatementEnd
DROP TABLE pizza;
DROP TABLE pizza_types;
