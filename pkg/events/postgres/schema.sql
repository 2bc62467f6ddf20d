-- Who publishes what: the types that begin with a prefix are published by one
-- role, under one source.
CREATE TABLE event_publisher (
    prefix text PRIMARY KEY, -- the first word of the type
    role   name NOT NULL,
    source text NOT NULL -- the same for all prefixes of a role
);

-- Consumers by durable name, what they want to hear of, and who may read that.
CREATE TABLE event_consumer (
    name  text   PRIMARY KEY,
    types text[] NOT NULL,
    role  name, -- only this role consumes under the name; NULL: only the owner does
    may   text[] NOT NULL DEFAULT '{}' -- types that the role can ask for
);

-- What was published, for as long as it is kept.
CREATE TABLE event (
    seq          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           text        NOT NULL,
    type         text        NOT NULL,
    subject      text        NOT NULL,
    body         json        NOT NULL, -- the whole event as CloudEvents JSON, byte for byte
    published_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX event_source_id_idx ON event ((body ->> 'source'), id);
CREATE INDEX event_source_published_at_idx ON event ((body ->> 'source'), published_at);

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

-- prune_events deletes old events of the role that calls it. Events for which a
-- delivery waits stay, and so does what is younger than an hour, whatever is
-- asked for. Times are compared, not intervals: '1 month -29 days' counts as a
-- day, and is less than none in February.
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

-- subscribe_events makes a consumer known, and gives it the kept events of all
-- types that are new to it. A role subscribes only as a consumer that
-- allow_consumer has given to it; the owner subscribes as anybody.
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

-- allow_consumer gives a consumer's name to a role, with the types that it may
-- ask for. The owner calls it, or a superuser. The role can then read the events
-- that are delivered to it, and report on these deliveries.
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
REVOKE ALL ON FUNCTION publish_events(json[]), prune_events(interval, integer),
    subscribe_events(text, text[]), allow_consumer(text, name, text[]) FROM PUBLIC;

-- A consumer's role sees itself, its deliveries, and the events delivered to it.
-- The owner, as which the functions run, sees everything.
ALTER TABLE event_consumer ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_delivery ENABLE ROW LEVEL SECURITY;
ALTER TABLE event ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON event_consumer USING (role = current_user);
CREATE POLICY own_rows ON event_delivery USING (consumer = ANY (ARRAY(SELECT c.name FROM event_consumer c)));
CREATE POLICY own_rows ON event USING (EXISTS (SELECT FROM event_delivery d WHERE d.seq = event.seq));
