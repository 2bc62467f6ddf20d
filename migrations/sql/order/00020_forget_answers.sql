-- Answers are deleted when their time is over, whosever they are. The order role
-- is about to see the rows of one member only, so this work runs as the owner:
-- the role may have old rows deleted, and nothing else, without reading one.
--
-- Rights on functions are given where the function is made: it is of no use
-- without, and grants.sql is about tables.

-- +goose Up
-- +goose StatementBegin
CREATE FUNCTION forget_answers(older_than interval, at_most integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH over AS (
        SELECT member_id, key
        FROM public.idempotency_key
        WHERE created_at < now() - older_than
        ORDER BY created_at
        LIMIT at_most
    ), deleted AS (
        DELETE FROM public.idempotency_key k
        USING over
        WHERE k.member_id = over.member_id AND k.key = over.key
        RETURNING 1
    )
    SELECT count(*) FROM deleted
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION forget_answers(interval, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_answers(interval, integer) TO order_svc;

-- +goose Down
DROP FUNCTION forget_answers(interval, integer);
