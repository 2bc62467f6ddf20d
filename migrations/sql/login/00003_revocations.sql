-- Whatever withdraws tokens is announced in its own transaction: by a
-- notification on token_revoked for every process that checks tokens and listens,
-- and by a row in login_outbox for who must not miss it. Both say the same, and
-- the database says it, so that a row written by hand counts as well.
--
-- revoked_member ends all tokens of a member at once. Which those are, no clock
-- decides: a token carries the generation that its login has read in the same
-- snapshot as the password, and is of use while that is the member's newest. A
-- login beside a change of the password so gets the new generation if and only if
-- it has seen the new password. A generation is the time in microseconds, and
-- more than the one before: a row that was deleted, because all its tokens have
-- expired, is followed by a greater one.
-- The functions run as their owner, so that no writer needs a right on the outbox.

-- +goose Up
CREATE TABLE revoked_member (
    member_id VARCHAR(100) PRIMARY KEY,
    generation BIGINT NOT NULL, -- of the oldest tokens that are still good
    expires_at TIMESTAMPTZ NOT NULL, -- when no older one can be left
    revoked_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX revoked_member_expires_at_idx ON revoked_member (expires_at);
CREATE INDEX revoked_member_revoked_at_idx ON revoked_member (revoked_at);
CREATE INDEX revoked_token_revoked_at_idx ON revoked_token (revoked_at);

CREATE TABLE login_outbox (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(), -- of the event: receivers know it again
    seq BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY,
    type TEXT NOT NULL,
    subject TEXT NOT NULL, -- the member; events of one subject stay in order
    data JSONB NOT NULL,
    traceparent TEXT, -- W3C Trace Context of the request that did it
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_error TEXT,
    sent_at TIMESTAMPTZ,
    parked_at TIMESTAMPTZ -- set aside: no attempt has worked
);
CREATE INDEX login_outbox_waiting_idx ON login_outbox (subject, seq) WHERE sent_at IS NULL AND parked_at IS NULL;
CREATE INDEX login_outbox_oldest_idx ON login_outbox (seq) WHERE sent_at IS NULL AND parked_at IS NULL;
CREATE INDEX login_outbox_sent_idx ON login_outbox (sent_at) WHERE sent_at IS NOT NULL;
CREATE INDEX login_outbox_parked_idx ON login_outbox (parked_at) WHERE parked_at IS NOT NULL;

-- +goose StatementBegin
CREATE FUNCTION token_revoked() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    told jsonb := to_jsonb(NEW) - 'revoked_at';
BEGIN
    INSERT INTO public.login_outbox (type, subject, data) VALUES ('token.revoked', NEW.member_id, told);
    PERFORM pg_notify('token_revoked', told::text);
    RETURN NULL;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION token_revoked() FROM PUBLIC;

CREATE TRIGGER token_revoked AFTER INSERT ON revoked_token FOR EACH ROW EXECUTE FUNCTION token_revoked();
CREATE TRIGGER token_revoked AFTER INSERT OR UPDATE ON revoked_member FOR EACH ROW EXECUTE FUNCTION token_revoked();

-- +goose Down
DROP TRIGGER token_revoked ON revoked_token;
DROP INDEX revoked_token_revoked_at_idx;
DROP TABLE revoked_member;
DROP FUNCTION token_revoked();
DROP TABLE login_outbox;
