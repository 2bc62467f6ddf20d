-- What a member was told about an order that it placed under a key of its own
-- (Idempotency-Key), to be told again when it asks again. A row is written in the
-- statement that places the order, so the primary key is what keeps a second
-- order under the same key out. Rows are deleted when their time is over, found
-- by the index. There is no reference to orders: nothing is looked up through it,
-- and each order would pay for the check.

-- +goose Up
CREATE TABLE idempotency_key (
    member_id VARCHAR(100) NOT NULL,
    key VARCHAR(255) NOT NULL,
    fingerprint BYTEA NOT NULL, -- SHA-256 of what was asked for
    order_id VARCHAR(50) NOT NULL,
    status INTEGER NOT NULL, -- of the answer, and so on
    content_type TEXT NOT NULL,
    location TEXT NOT NULL,
    body BYTEA NOT NULL, -- byte for byte
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (member_id, key)
);
CREATE INDEX idempotency_key_created_at_idx ON idempotency_key (created_at);

-- +goose Down
DROP TABLE idempotency_key;
