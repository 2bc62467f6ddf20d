-- Services look a token up in these tables, by primary key, whenever they use it.
-- So withdrawing one notifies nobody, and needs no index on its time. Consumers
-- outside still get token.revoked from login_outbox.
--
-- No ordinary statement brings a withdrawn token back: generation and expiry never
-- go down, and login deletes rows only through a function that leaves those alone
-- that can still matter. Its hour is for clocks that differ.

-- +goose Up
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION token_revoked() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO public.login_outbox (type, subject, data) VALUES ('token.revoked', NEW.member_id, to_jsonb(NEW) - 'revoked_at');
    RETURN NULL;
END
$$;
-- +goose StatementEnd

DROP INDEX revoked_member_revoked_at_idx;
DROP INDEX revoked_token_revoked_at_idx;

-- A token carries the generation as a JSON number, which is exact below 2^53. No
-- token of a greater generation would be valid.
ALTER TABLE revoked_member ADD CONSTRAINT revoked_member_generation_check CHECK (generation > 0 AND generation < 9007199254740992);

-- +goose StatementBegin
CREATE FUNCTION revoked_member_grows() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.member_id := OLD.member_id;
    NEW.generation := greatest(OLD.generation, NEW.generation);
    NEW.expires_at := greatest(OLD.expires_at, NEW.expires_at);
    RETURN NEW;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION revoked_member_grows() FROM PUBLIC;
CREATE TRIGGER revoked_member_grows BEFORE UPDATE ON revoked_member FOR EACH ROW EXECUTE FUNCTION revoked_member_grows();

-- Rows that somebody is working on are left for the next call.
-- +goose StatementBegin
CREATE FUNCTION forget_revocations(at_most integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH tokens AS (
        DELETE FROM public.revoked_token
        WHERE jti = ANY (ARRAY(
            SELECT old.jti FROM public.revoked_token AS old
            WHERE old.expires_at < now() - interval '1 hour'
            ORDER BY old.expires_at
            LIMIT at_most
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    ), members AS (
        DELETE FROM public.revoked_member
        WHERE member_id = ANY (ARRAY(
            SELECT old.member_id FROM public.revoked_member AS old
            WHERE old.expires_at < now() - interval '1 hour'
            ORDER BY old.expires_at
            LIMIT at_most
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM tokens) + (SELECT count(*) FROM members)
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION forget_revocations(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_revocations(integer) TO login_svc;

-- +goose Down
DROP FUNCTION forget_revocations(integer);
DROP TRIGGER revoked_member_grows ON revoked_member;
DROP FUNCTION revoked_member_grows();
ALTER TABLE revoked_member DROP CONSTRAINT revoked_member_generation_check;
CREATE INDEX revoked_token_revoked_at_idx ON revoked_token (revoked_at);
CREATE INDEX revoked_member_revoked_at_idx ON revoked_member (revoked_at);
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION token_revoked() RETURNS trigger
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
