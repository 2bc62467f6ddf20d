-- What happened to orders, for everyone who wants to know: a row is written in
-- the statement that places the order, so there is never one without the other.
-- A relay sends the rows on and marks them. The partial indexes keep finding the
-- few that wait cheap beside the many that are sent.

-- +goose Up
CREATE TABLE order_outbox (
    id UUID PRIMARY KEY, -- of the event: receivers know it again
    seq BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY,
    type TEXT NOT NULL,
    subject TEXT NOT NULL, -- the order; events of one subject stay in order
    data JSONB NOT NULL,
    traceparent TEXT, -- W3C Trace Context of the request that did it
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_error TEXT,
    sent_at TIMESTAMPTZ,
    parked_at TIMESTAMPTZ -- set aside: no attempt has worked
);
CREATE INDEX order_outbox_waiting_idx ON order_outbox (subject, seq) WHERE sent_at IS NULL AND parked_at IS NULL;
CREATE INDEX order_outbox_oldest_idx ON order_outbox (seq) WHERE sent_at IS NULL AND parked_at IS NULL;
CREATE INDEX order_outbox_sent_idx ON order_outbox (sent_at) WHERE sent_at IS NOT NULL;
CREATE INDEX order_outbox_parked_idx ON order_outbox (parked_at) WHERE parked_at IS NOT NULL;

-- +goose Down
DROP TABLE order_outbox;
