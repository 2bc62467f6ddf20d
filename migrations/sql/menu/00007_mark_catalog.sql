-- A random mark beside the version, new with every change. A version is only
-- unique in one life of one database: a restored one counts the same numbers
-- again for other rows. Caches that outlive it are keyed by the mark.

-- +goose Up
ALTER TABLE catalog_version ADD COLUMN mark UUID NOT NULL DEFAULT gen_random_uuid();

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION catalog_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE public.catalog_version SET version = version + 1, mark = gen_random_uuid();
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION catalog_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE public.catalog_version SET version = version + 1;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
ALTER TABLE catalog_version DROP COLUMN mark;
