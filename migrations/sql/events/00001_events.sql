-- What carries events in PostgreSQL itself, for installations without a broker
-- (EVENTS_URL). The tables are those of package events/postgres, which says how
-- they work; no service owns them, so that none has to be there for another.

-- +goose Up
-- Consumers by durable name, and what they want to hear of.
CREATE TABLE event_consumer (
    name  text   PRIMARY KEY,
    types text[] NOT NULL
);

-- What was published, for as long as it is kept.
CREATE TABLE event (
    seq          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           text        NOT NULL UNIQUE,
    type         text        NOT NULL,
    subject      text        NOT NULL,
    body         json        NOT NULL, -- the whole event as CloudEvents JSON, byte for byte
    published_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX event_published_at ON event (published_at);

-- What each consumer has not handled yet. A row goes when the event is handled.
CREATE TABLE event_delivery (
    consumer        text        NOT NULL REFERENCES event_consumer (name) ON DELETE CASCADE,
    seq             bigint      NOT NULL REFERENCES event (seq),
    subject         text        NOT NULL,
    attempts        int         NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    last_error      text,
    parked_at       timestamptz,
    PRIMARY KEY (consumer, seq)
);
CREATE INDEX event_delivery_waiting ON event_delivery (consumer, subject, seq) WHERE parked_at IS NULL;
CREATE INDEX event_delivery_seq ON event_delivery (seq);

-- +goose Down
DROP TABLE event_delivery;
DROP TABLE event;
DROP TABLE event_consumer;
