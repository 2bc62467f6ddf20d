-- Each committed change of the catalog is announced, and nothing else is: by a
-- notification on catalog_updated for who listens now, and by a row in
-- menu_outbox for who must not miss it. Both are part of the writer's own
-- transaction, so a change that is rolled back announces nothing. The database
-- announces, not the menu service, so that what the old system changes is
-- announced as well.
--
-- Several statements of one transaction are one announcement. The trigger is
-- deferred to the commit, where it runs once per step of the version, and only
-- the last step finds its own version in the table. The writer holds that row's
-- lock until it has committed: seq, version and order of commits agree.
-- The function runs as its owner, so that no writer needs a right on the tables.

-- +goose Up
CREATE TABLE menu_outbox (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(), -- of the event: receivers know it again
    seq BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY,
    type TEXT NOT NULL,
    subject TEXT NOT NULL, -- events of one subject stay in order
    data JSONB NOT NULL,
    traceparent TEXT, -- W3C Trace Context of the request that did it
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_error TEXT,
    sent_at TIMESTAMPTZ,
    parked_at TIMESTAMPTZ -- set aside: no attempt has worked
);
CREATE INDEX menu_outbox_waiting_idx ON menu_outbox (seq) WHERE sent_at IS NULL AND parked_at IS NULL;

-- +goose StatementBegin
CREATE FUNCTION catalog_updated() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NEW.version = (SELECT v.version FROM public.catalog_version v) THEN
        INSERT INTO public.menu_outbox (type, subject, data)
        VALUES ('catalog.updated', NEW.version::text, jsonb_build_object('catalog_version', NEW.version));
        PERFORM pg_notify('catalog_updated', NEW.version::text);
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION catalog_updated() FROM PUBLIC;

CREATE CONSTRAINT TRIGGER catalog_updated AFTER UPDATE ON catalog_version
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION catalog_updated();

-- +goose Down
DROP TRIGGER catalog_updated ON catalog_version;
DROP FUNCTION catalog_updated();
DROP TABLE menu_outbox;
