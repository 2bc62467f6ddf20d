-- Branches and orders, as the old system made the tables: a database that it
-- wrote to passes unchanged. Deleting what a row refers to is refused, never
-- cascaded.

-- +goose Up
CREATE TABLE IF NOT EXISTS branch (
    bran_id VARCHAR(100) PRIMARY KEY,
    bran_nm VARCHAR(100) NOT NULL
);
CREATE TABLE IF NOT EXISTS orders (
    order_id VARCHAR(50) PRIMARY KEY,
    member_id VARCHAR(50) NOT NULL,
    bran_id VARCHAR(100) REFERENCES branch(bran_id),
    date VARCHAR(50) NOT NULL,
    time VARCHAR(50) NOT NULL
);
CREATE TABLE IF NOT EXISTS order_detail (
    order_detail_id INTEGER PRIMARY KEY,
    order_id VARCHAR(50) REFERENCES orders(order_id),
    pizza_id VARCHAR(50) REFERENCES pizza(pizza_id),
    quantity INTEGER NOT NULL
);

-- +goose Down
LOCK TABLE order_detail, orders, branch IN ACCESS EXCLUSIVE MODE;
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM order_detail) OR EXISTS (SELECT FROM orders) OR EXISTS (SELECT FROM branch) THEN
        RAISE EXCEPTION 'order_detail, orders or branch has rows: no step back drops orders'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
END
$$;
-- +goose StatementEnd
DROP TABLE order_detail;
DROP TABLE orders;
DROP TABLE branch;
