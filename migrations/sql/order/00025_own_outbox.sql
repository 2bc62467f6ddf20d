-- The order role cannot change what a row of order_outbox announces (grants.sql names
-- the columns that its relay writes). The relay deletes what it has published. Rows
-- that builds from before that marked as sent are deleted by this function, which
-- runs as the owner and spares what was written or sent within the hour, whatever
-- it is asked for. Times are compared, not intervals: '1 month -29 days' counts as a
-- day, and is less than none in February.
--
-- The check keeps the events of other owners out, for transports that ask nobody
-- whose a type is.

-- +goose Up
-- +goose StatementBegin
CREATE FUNCTION prune_order_outbox(older_than interval, at_most integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH deleted AS (
        DELETE FROM public.order_outbox WHERE id = ANY (ARRAY( -- a join could be planned to scan the table
            SELECT o.id FROM public.order_outbox o
            WHERE o.sent_at < least(now() - older_than, now() - interval '1 hour')
              AND o.created_at < now() - interval '1 hour'
            ORDER BY o.sent_at
            LIMIT least(at_most, 1000)
            FOR UPDATE SKIP LOCKED))
        RETURNING 1
    )
    SELECT count(*) FROM deleted
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION prune_order_outbox(interval, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION prune_order_outbox(interval, integer) TO order_svc;

ALTER TABLE order_outbox ADD CONSTRAINT order_outbox_own_types CHECK (type LIKE 'order.%') NOT VALID;

-- +goose Down
ALTER TABLE order_outbox DROP CONSTRAINT order_outbox_own_types;
DROP FUNCTION prune_order_outbox(interval, integer);
