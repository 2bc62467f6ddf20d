-- An answer stays for an hour at least, whatever the order role asks for:
-- without it, a member's second try under the same key is a second order. Times
-- are compared, not intervals: '1 month -29 days' counts as a day, and is less
-- than none in February.

-- +goose Up
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION forget_answers(older_than interval, at_most integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH deleted AS (
        DELETE FROM public.idempotency_key WHERE ctid = ANY (ARRAY( -- a join could be planned to scan the table
            SELECT k.ctid FROM public.idempotency_key k
            WHERE k.created_at < least(now() - older_than, now() - interval '1 hour')
            ORDER BY k.created_at
            LIMIT least(at_most, 1000)
            FOR UPDATE SKIP LOCKED))
        RETURNING 1
    )
    SELECT count(*) FROM deleted
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION forget_answers(older_than interval, at_most integer) RETURNS bigint
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
