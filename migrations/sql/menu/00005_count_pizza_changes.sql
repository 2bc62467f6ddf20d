-- The other table of the catalog. A file of its own: a transaction that locks
-- two tables can deadlock with a writer that takes them in the other order.

-- +goose Up
CREATE TRIGGER catalog_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON pizza
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_changed();

-- +goose Down
DROP TRIGGER catalog_changed ON pizza;
