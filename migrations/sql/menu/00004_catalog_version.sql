-- One number that grows with every change of the catalog. It is the ETag of the
-- menu and the key of price caches. It starts from the clock, so that one that
-- is dropped and made again does not repeat what caches have seen.
--
-- The database counts, not the menu service, so that what the old system
-- changes counts as well. The writer holds the row's lock until it commits:
-- versions become visible in the order in which the changes do, and a reader
-- that takes version and rows in one statement has a pair that belongs together.
-- The function runs as its owner, so that no writer needs a right on the table.

-- +goose Up
CREATE TABLE catalog_version (
    only_row BOOLEAN PRIMARY KEY DEFAULT true CHECK (only_row),
    version BIGINT NOT NULL
);
INSERT INTO catalog_version (version) VALUES (extract(epoch FROM now())::bigint);

-- +goose StatementBegin
CREATE FUNCTION catalog_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE public.catalog_version SET version = version + 1;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION catalog_changed() FROM PUBLIC;

CREATE TRIGGER catalog_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON pizza_types
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_changed();

-- +goose Down
DROP TRIGGER catalog_changed ON pizza_types;
DROP FUNCTION catalog_changed();
DROP TABLE catalog_version;
