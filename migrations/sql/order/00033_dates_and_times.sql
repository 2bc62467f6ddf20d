-- date and time are text as long as the old system writes them, and a date and a time
-- after `migrate contract`. These are their forms in the table, of text such as
-- 2015-01-31 and 11:38:36: inlined, so that an index on the columns is of use. The
-- contract replaces them in the transaction that changes the types, so that a service
-- needs no other statements then, and need not be restarted.

-- +goose Up
CREATE FUNCTION order_date(day text) RETURNS character varying
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT day::varchar $$;

CREATE FUNCTION order_time(clock text) RETURNS character varying
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT clock::varchar $$;

REVOKE ALL ON FUNCTION order_date FROM PUBLIC;
REVOKE ALL ON FUNCTION order_time FROM PUBLIC;
GRANT EXECUTE ON FUNCTION order_date TO order_svc;
GRANT EXECUTE ON FUNCTION order_time TO order_svc;

-- +goose Down
DROP FUNCTION order_time;
DROP FUNCTION order_date;
