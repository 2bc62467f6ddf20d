-- Dates and times get their types, to the microsecond, and every order has its moment,
-- which the services always name. The table is rewritten, and its indexes are built
-- anew, under one lock: orders and their readers wait.
--
-- The functions of order/00033 change in the same transaction. The lock comes first: a
-- statement of a service that waits for it looks its functions up afterwards. Text that
-- is no date or time, as only a made-up cursor has it, is NULL; a day that its month
-- does not have counts on into the next one.

-- +goose Up
ALTER TABLE orders
    ALTER COLUMN date DROP DEFAULT,
    ALTER COLUMN date TYPE date USING date::date,
    ALTER COLUMN date SET NOT NULL,
    ALTER COLUMN time DROP DEFAULT,
    ALTER COLUMN time TYPE time USING time::time,
    ALTER COLUMN time SET NOT NULL,
    ALTER COLUMN created_at DROP DEFAULT,
    ALTER COLUMN created_at SET NOT NULL,
    ALTER COLUMN member_id SET NOT NULL;

DROP FUNCTION order_date(text);
CREATE FUNCTION order_date(day text) RETURNS date
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN day ~ '^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$'
        THEN make_date(substr(day, 1, 4)::int, substr(day, 6, 2)::int, 1) + (substr(day, 9, 2)::int - 1) END
$$;

DROP FUNCTION order_time(text);
CREATE FUNCTION order_time(clock text) RETURNS time
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN clock ~ '^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?$'
        THEN make_time(substr(clock, 1, 2)::int, substr(clock, 4, 2)::int, substr(clock, 7)::float8) END
$$;

REVOKE ALL ON FUNCTION order_date FROM PUBLIC;
REVOKE ALL ON FUNCTION order_time FROM PUBLIC;
GRANT EXECUTE ON FUNCTION order_date TO order_svc;
GRANT EXECUTE ON FUNCTION order_time TO order_svc;
