-- A relay publishes a batch of events by one statement, which checks and stores
-- them together. Builds from before call publish_event for each event; it stays
-- until none of them runs. Creating a function locks nothing that others use.

-- +goose Up
-- publish_events keeps events for all consumers that want their types, or none of
-- them. The same source and id again do nothing for as long as events are kept. A
-- body must have each attribute once and no others: readers differ in which of two
-- equal keys counts, and some ignore case, so that one could read another type than
-- the one that is checked here.
--
-- The lock keeps publishing and the registration of consumers apart. Without it,
-- an event could be published for the consumers that were, while a new consumer
-- is given the events that were. It is a table lock, because anybody could hold
-- an advisory lock, and so stop the events of all.
-- +goose StatementBegin
CREATE FUNCTION publish_events(events json[]) RETURNS void
    LANGUAGE plpgsql STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    refused json;
BEGIN
    IF EXISTS (SELECT FROM unnest(events) AS e WHERE e IS NULL OR (
            SELECT count(*) <> count(DISTINCT key) OR NOT bool_and(key IN (
                'specversion', 'id', 'source', 'type', 'subject', 'time', 'datacontenttype', 'data', 'traceparent'))
            FROM json_object_keys(e) AS key)) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'an event has known attributes, each once';
    END IF;
    SELECT e INTO refused FROM unnest(events) AS e WHERE NOT EXISTS (
        SELECT FROM public.event_publisher p
        WHERE p.prefix = split_part(e ->> 'type', '.', 1) AND p.role = session_user AND p.source = e ->> 'source')
    LIMIT 1;
    IF FOUND THEN
        RAISE invalid_parameter_value USING MESSAGE =
            format('%s does not publish %s of %s', session_user, refused ->> 'type', refused ->> 'source');
    END IF;
    LOCK TABLE public.event_consumer IN ROW SHARE MODE;
    -- A statement of its own, because it must see what the lock waited for.
    WITH new AS (
        INSERT INTO public.event (id, type, subject, body)
        SELECT e ->> 'id', e ->> 'type', coalesce(e ->> 'subject', ''), e
        FROM unnest(events) WITH ORDINALITY AS given(e, place)
        ORDER BY place
        ON CONFLICT ((body ->> 'source'), id) DO NOTHING
        RETURNING seq, type, subject)
    INSERT INTO public.event_delivery (consumer, seq, subject)
    SELECT c.name, new.seq, new.subject FROM new JOIN public.event_consumer c ON new.type = ANY (c.types);
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION publish_events(json[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION publish_events(json[]) TO login_svc, menu_svc, order_svc;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION publish_event(event json) RETURNS void
    LANGUAGE sql STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT public.publish_events(ARRAY[event])
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION publish_event(event json) RETURNS void
    LANGUAGE plpgsql STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    event_type text := event ->> 'type';
BEGIN
    IF (SELECT count(*) <> count(DISTINCT key) OR NOT bool_and(key IN (
            'specversion', 'id', 'source', 'type', 'subject', 'time', 'datacontenttype', 'data', 'traceparent'))
        FROM json_object_keys(event) AS key) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'an event has known attributes, each once';
    END IF;
    IF NOT EXISTS (
        SELECT FROM public.event_publisher p
        WHERE p.prefix = split_part(event_type, '.', 1) AND p.role = session_user AND p.source = event ->> 'source') THEN
        RAISE invalid_parameter_value USING MESSAGE = format('%s does not publish %s of %s', session_user, event_type, event ->> 'source');
    END IF;
    LOCK TABLE public.event_consumer IN ROW SHARE MODE;
    -- A statement of its own, because it must see what the lock waited for.
    WITH new AS (
        INSERT INTO public.event (id, type, subject, body)
        VALUES (event ->> 'id', event_type, coalesce(event ->> 'subject', ''), event)
        ON CONFLICT ((body ->> 'source'), id) DO NOTHING
        RETURNING seq, type, subject)
    INSERT INTO public.event_delivery (consumer, seq, subject)
    SELECT c.name, new.seq, new.subject FROM new JOIN public.event_consumer c ON new.type = ANY (c.types);
END
$$;
-- +goose StatementEnd
DROP FUNCTION publish_events(json[]);
