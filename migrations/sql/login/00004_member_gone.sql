-- Who is no member any more has no session either, whoever deletes the row. How long
-- tokens live, the database does not know, so the entry stays; members that are
-- deleted are few. An id that is registered again starts with greater generations.

-- +goose Up
-- +goose StatementBegin
CREATE FUNCTION member_gone() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO public.revoked_member AS m (member_id, generation, expires_at)
    VALUES (OLD.member_id, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, now() + interval '100 years')
    ON CONFLICT (member_id) DO UPDATE
    SET generation = greatest(m.generation + 1, EXCLUDED.generation), expires_at = EXCLUDED.expires_at, revoked_at = now();
    RETURN NULL;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION member_gone() FROM PUBLIC;

CREATE TRIGGER member_gone AFTER DELETE ON member FOR EACH ROW EXECUTE FUNCTION member_gone();

-- +goose Down
DROP TRIGGER member_gone ON member;
DROP FUNCTION member_gone();
