-- A change of the catalog is no longer notified. menu reads the mark of the
-- catalog once a second, and order asks menu, so nobody listens any more. Anyone
-- can send a notification, a pooler can lose one, and sending one takes a lock
-- over the whole database until the commit is on disk.

-- +goose Up
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION catalog_updated() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NEW.version = (SELECT v.version FROM public.catalog_version v) THEN
        INSERT INTO public.menu_outbox (type, subject, data)
        VALUES ('catalog.updated', NEW.version::text, jsonb_build_object('catalog_version', NEW.version));
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION catalog_updated() RETURNS trigger
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
