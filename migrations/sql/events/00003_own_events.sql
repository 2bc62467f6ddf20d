-- Services have no rights on events any more: each could read, forge and delete
-- the events of all others. They call functions instead, which run as the owner
-- and allow each role its own types. event_publisher is the one place that says
-- whose they are. Consumers have a role of their own, which allow_consumer gives
-- a name and the types that it may ask for.

-- +goose Up
CREATE TABLE event_publisher (
    prefix text PRIMARY KEY, -- the first word of the type
    role   name NOT NULL,
    source text NOT NULL -- the same for all prefixes of a role
);
INSERT INTO event_publisher (prefix, role, source) VALUES
    ('token', 'login_svc', '/login'),
    ('catalog', 'menu_svc', '/menu'),
    ('order', 'order_svc', '/order');
ALTER TABLE event_consumer ADD COLUMN role name, ADD COLUMN may text[] NOT NULL DEFAULT '{}';

-- publish_event keeps an event for all consumers that want its type. The same
-- source and id again do nothing for as long as events are kept. The body must
-- have each attribute once and no others: readers differ in which of two equal
-- keys counts, and some ignore case, so that one could read another type than
-- the one that is checked here.
--
-- The lock keeps publishing and the registration of consumers apart. Without it,
-- an event could be published for the consumers that were, while a new consumer
-- is given the events that were. It is a table lock, because anybody could hold
-- an advisory lock, and so stop the events of all.
-- +goose StatementBegin
CREATE FUNCTION publish_event(event json) RETURNS void
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

-- prune_events deletes old events of the role that calls it. Events for which a
-- delivery waits stay, and so does what is younger than an hour, whatever is
-- asked for. Times are compared, not intervals: '1 month -29 days' counts as a
-- day, and is less than none in February.
-- +goose StatementBegin
CREATE FUNCTION prune_events(older_than interval, at_most integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH deleted AS (
        DELETE FROM public.event WHERE seq = ANY (ARRAY( -- a join could be planned to scan the table
            SELECT e.seq FROM public.event e
            WHERE e.body ->> 'source' = (SELECT min(p.source) FROM public.event_publisher p WHERE p.role = session_user)
              AND e.published_at < least(now() - older_than, now() - interval '1 hour')
              AND NOT EXISTS (SELECT FROM public.event_delivery d WHERE d.seq = e.seq)
            ORDER BY e.published_at
            LIMIT least(at_most, 1000)
            FOR UPDATE OF e SKIP LOCKED))
        RETURNING 1
    )
    SELECT count(*) FROM deleted
$$;
-- +goose StatementEnd

-- subscribe_events makes a consumer known, and gives it the kept events of all
-- types that are new to it. A role subscribes only as a consumer that
-- allow_consumer has given to it; the owner subscribes as anybody.
-- +goose StatementBegin
CREATE FUNCTION subscribe_events(consumer text, wanted text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    had text[];
BEGIN
    IF NOT pg_has_role(session_user, current_user, 'MEMBER') AND NOT EXISTS (
        SELECT FROM public.event_consumer c WHERE c.name = consumer AND c.role = session_user AND wanted <@ c.may) THEN
        RAISE insufficient_privilege USING MESSAGE = format('%s may not consume as %s', session_user, consumer);
    END IF;
    LOCK TABLE public.event_consumer IN EXCLUSIVE MODE;
    INSERT INTO public.event_consumer (name, types) VALUES (consumer, '{}') ON CONFLICT DO NOTHING;
    SELECT c.types INTO had FROM public.event_consumer c WHERE c.name = consumer;
    IF NOT wanted <@ had THEN -- or every start would read all events
        INSERT INTO public.event_delivery (consumer, seq, subject)
        SELECT subscribe_events.consumer, e.seq, e.subject FROM public.event e
        WHERE e.type = ANY (wanted) AND e.type <> ALL (had)
        ON CONFLICT DO NOTHING;
    END IF;
    UPDATE public.event_consumer SET types = wanted WHERE name = consumer AND types <> wanted;
END
$$;
-- +goose StatementEnd

-- allow_consumer gives a consumer's name to a role, with the types that it may
-- ask for. The owner calls it, or a superuser. The role can then read the events
-- that are delivered to it, and report on these deliveries.
-- +goose StatementBegin
CREATE FUNCTION allow_consumer(consumer text, reader name, readable text[]) RETURNS void
    LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO public.event_consumer AS c (name, types, role, may) VALUES (consumer, '{}', reader, readable)
    ON CONFLICT (name) DO UPDATE SET role = reader, may = readable,
        types = ARRAY(SELECT unnest(c.types) INTERSECT SELECT unnest(readable));
    EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', reader);
    EXECUTE format('GRANT SELECT ON public.event, public.event_consumer, public.event_delivery TO %I', reader);
    EXECUTE format('GRANT UPDATE (attempts, next_attempt_at, last_error, parked_at) ON public.event_delivery TO %I', reader);
    EXECUTE format('GRANT DELETE ON public.event_delivery TO %I', reader);
    EXECUTE format('GRANT EXECUTE ON FUNCTION public.subscribe_events(text, text[]) TO %I', reader);
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION publish_event(json), prune_events(interval, integer),
    subscribe_events(text, text[]), allow_consumer(text, name, text[]) FROM PUBLIC;

-- A consumer's role sees itself, its deliveries, and the events delivered to it.
-- The owner, as which the functions run, sees everything.
ALTER TABLE event_consumer ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_delivery ENABLE ROW LEVEL SECURITY;
ALTER TABLE event ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON event_consumer USING (role = current_user);
CREATE POLICY own_rows ON event_delivery USING (consumer = ANY (ARRAY(SELECT c.name FROM event_consumer c)));
CREATE POLICY own_rows ON event USING (EXISTS (SELECT FROM event_delivery d WHERE d.seq = event.seq));
GRANT EXECUTE ON FUNCTION publish_event(json), prune_events(interval, integer) TO login_svc, menu_svc, order_svc;

-- +goose Down
DROP POLICY own_rows ON event;
DROP POLICY own_rows ON event_delivery;
DROP POLICY own_rows ON event_consumer;
ALTER TABLE event DISABLE ROW LEVEL SECURITY;
ALTER TABLE event_delivery DISABLE ROW LEVEL SECURITY;
ALTER TABLE event_consumer DISABLE ROW LEVEL SECURITY;
DROP FUNCTION allow_consumer(text, name, text[]);
DROP FUNCTION subscribe_events(text, text[]);
DROP FUNCTION prune_events(interval, integer);
DROP FUNCTION publish_event(json);
ALTER TABLE event_consumer DROP COLUMN role, DROP COLUMN may;
DROP TABLE event_publisher;
