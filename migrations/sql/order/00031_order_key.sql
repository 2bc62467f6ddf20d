-- The old system's orders have ids of text, or numbers that it takes by MAX + 1. An id
-- is text to the services, and order_key is its form in the table: inlined, so that an
-- index on the column is of use. Text that is no number of the column is NULL, which
-- no order has.
--
-- new_order_id draws the id of an order where ids are numbers, and is NULL where they
-- are text: the service then makes a UUID, which needs no round trip. Numbers count
-- down from -1. MAX + 1 never meets them, whoever reads MAX when; a sequence above the
-- old system's numbers would only last until MAX is one of ours. The old system shows
-- and sorts them as numbers.

-- +goose Up
CREATE FUNCTION order_key(id text) RETURNS character varying
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT id::varchar $$;

CREATE FUNCTION new_order_id() RETURNS text
    LANGUAGE sql STABLE
AS $$ SELECT NULL::text $$;

-- +goose StatementBegin
DO $do$
DECLARE
    number regtype := (SELECT atttypid FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'order_id'
                       AND atttypid IN ('int4'::regtype, 'int8'::regtype));
BEGIN
    IF number IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE SEQUENCE order_number AS %s INCREMENT -1 START -1', number);
    DROP FUNCTION order_key(text);
    EXECUTE format($f$
        CREATE FUNCTION order_key(id text) RETURNS %1$s LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
            SELECT CASE WHEN id ~ '^(0|-?[1-9][0-9]{0,18})$' AND id::numeric BETWEEN %2$s THEN id::%1$s END
        $$ $f$, number, CASE number WHEN 'int4'::regtype THEN '-2147483648 AND 2147483647' ELSE '-9223372036854775808 AND 9223372036854775807' END);
    CREATE OR REPLACE FUNCTION new_order_id() RETURNS text
        LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'SELECT nextval(''public.order_number'')::text';
END
$do$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION order_key FROM PUBLIC;
REVOKE ALL ON FUNCTION new_order_id FROM PUBLIC;
GRANT EXECUTE ON FUNCTION order_key TO order_svc;
GRANT EXECUTE ON FUNCTION new_order_id TO order_svc;

-- +goose Down
DROP FUNCTION new_order_id;
DROP FUNCTION order_key;
DROP SEQUENCE IF EXISTS order_number;
