-- The id of a deleted member stays taken, whoever deleted the row and however:
-- orders and idempotency keys name their member by id alone, so whoever registered
-- the id again would see the orders of the one before.
--
-- Only a hash of the id is kept, and no service can read it: the table answers
-- whether a given id is taken, and nothing else. To restore a member that was
-- deleted by mistake, the owner first deletes the hash.
--
-- The check runs after the insert. One that ran before would miss a delete that
-- is committed while the insert waits for it at the primary key. The error is that
-- of a primary key, which every writer has to expect, the old system too.

-- +goose Up
CREATE TABLE former_member (
    id_hash BYTEA PRIMARY KEY, -- SHA-256 of the id in UTF-8
    deleted_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- +goose StatementBegin
CREATE FUNCTION member_former() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO public.former_member (id_hash) VALUES (sha256(convert_to(OLD.member_id, 'UTF8'))) ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION member_former() FROM PUBLIC;

-- +goose StatementBegin
CREATE FUNCTION member_new() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM public.former_member WHERE id_hash = sha256(convert_to(NEW.member_id, 'UTF8'))) THEN
        RAISE EXCEPTION 'the member_id is taken: it was that of a member who was deleted'
            USING ERRCODE = 'unique_violation', SCHEMA = 'public', TABLE = 'member', CONSTRAINT = 'former_member_pkey';
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION member_new() FROM PUBLIC;

-- TRUNCATE fires no trigger of a row.
-- +goose StatementBegin
CREATE FUNCTION members_gone() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM public.member;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION members_gone() FROM PUBLIC;

CREATE TRIGGER member_former AFTER DELETE ON member FOR EACH ROW EXECUTE FUNCTION member_former();
CREATE TRIGGER member_new AFTER INSERT ON member FOR EACH ROW EXECUTE FUNCTION member_new();
CREATE TRIGGER members_gone BEFORE TRUNCATE ON member FOR EACH STATEMENT EXECUTE FUNCTION members_gone();

-- A member that gets another id leaves the one before.
CREATE TRIGGER member_renamed_from AFTER UPDATE ON member FOR EACH ROW
    WHEN (OLD.member_id IS DISTINCT FROM NEW.member_id) EXECUTE FUNCTION member_former();
CREATE TRIGGER member_renamed_gone AFTER UPDATE ON member FOR EACH ROW
    WHEN (OLD.member_id IS DISTINCT FROM NEW.member_id) EXECUTE FUNCTION member_gone();
CREATE TRIGGER member_renamed_to AFTER UPDATE ON member FOR EACH ROW
    WHEN (OLD.member_id IS DISTINCT FROM NEW.member_id) EXECUTE FUNCTION member_new();

-- Members that were deleted before the triggers were there: only member_gone writes such an
-- expiry. Those that were deleted before 00004 are found by their orders, in the
-- migrations of order.
INSERT INTO former_member (id_hash)
SELECT sha256(convert_to(r.member_id, 'UTF8'))
FROM revoked_member r
WHERE r.expires_at > now() + interval '50 years' AND NOT EXISTS (SELECT FROM member m WHERE m.member_id = r.member_id)
ON CONFLICT DO NOTHING;

-- +goose Down
DROP TRIGGER member_renamed_to ON member;
DROP TRIGGER member_renamed_gone ON member;
DROP TRIGGER member_renamed_from ON member;
DROP TRIGGER members_gone ON member;
DROP TRIGGER member_new ON member;
DROP TRIGGER member_former ON member;
DROP FUNCTION members_gone();
DROP FUNCTION member_new();
DROP FUNCTION member_former();
DROP TABLE former_member;
