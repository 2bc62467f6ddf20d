-- Lines of the old system carry no price. While both systems write, they get the menu's
-- price at the moment of their INSERT, and an order the sum of its lines. price_derived
-- tells these prices from those that the service recorded; NULL is recorded, or none.
-- `migrate backfill` does the same for older lines.
--
-- The old system must not notice. Its statements never fail because of a trigger, and
-- wait for no lock of one: the price is read without a lock, and the total is written at
-- the end of the transaction, unless somebody else has locked the order. A lock that
-- was taken earlier, or waited for, could deadlock with the old system's own. Whoever
-- holds the order mostly writes its total; what is missed, `migrate backfill` corrects.
--
-- Outside READ COMMITTED, a sum could miss lines that others have just committed, so
-- the total is left to `migrate backfill` there.
--
-- One lock at a time, so no deadlock with writers that lock several tables; so not in
-- one transaction, and each step may be repeated. Down skips locked rows: these keep
-- the derived price as if it had been recorded.

-- +goose NO TRANSACTION

-- +goose Up
ALTER TABLE order_detail ADD COLUMN IF NOT EXISTS price_derived BOOLEAN;

-- The price of the menu in cents, as the services read it; NULL, if it is no price.
CREATE OR REPLACE FUNCTION menu_price(price double precision) RETURNS numeric
    LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT CASE WHEN price >= 0 AND price <= 99999999.99 THEN round(price::text::numeric, 2) END $$;
REVOKE ALL ON FUNCTION menu_price FROM PUBLIC;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION lines_total(id orders.order_id%TYPE) RETURNS numeric
    LANGUAGE sql STABLE
AS $$
    SELECT CASE WHEN bool_and(amount IS NOT NULL) AND sum(amount) BETWEEN 0 AND 99999999.99 THEN sum(amount) END
    FROM (SELECT unit_price * coalesce(quantity, 0) AS amount FROM public.order_detail WHERE order_id = id) AS line
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION lines_total FROM PUBLIC;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION derive_price() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.unit_price := (SELECT public.menu_price(price) FROM public.pizza WHERE pizza_id = NEW.pizza_id);
    NEW.price_derived := CASE WHEN NEW.unit_price IS NOT NULL THEN true END;
    RETURN NEW;
EXCEPTION WHEN OTHERS THEN
    RETURN NEW;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION derive_price() FROM PUBLIC;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION derive_total() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    changed record;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN NULL;
    END IF;
    FOR changed IN
        SELECT order_id AS id FROM public.orders
        WHERE order_id IN (OLD.order_id, NEW.order_id) AND total_price IS DISTINCT FROM public.lines_total(order_id)
        FOR NO KEY UPDATE SKIP LOCKED
    LOOP -- with a new snapshot, which has all lines that were committed before the lock
        UPDATE public.orders SET total_price = public.lines_total(order_id) WHERE order_id = changed.id;
    END LOOP;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION derive_total() FROM PUBLIC;

DROP TRIGGER IF EXISTS derive_price ON order_detail;
CREATE TRIGGER derive_price BEFORE INSERT ON order_detail
    FOR EACH ROW WHEN (NEW.unit_price IS NULL AND current_user NOT IN ('order_svc', 'pizza_owner'))
    EXECUTE FUNCTION derive_price();

DROP TRIGGER IF EXISTS derive_new_price ON order_detail;
CREATE TRIGGER derive_new_price BEFORE UPDATE OF pizza_id ON order_detail
    FOR EACH ROW WHEN (OLD.pizza_id IS DISTINCT FROM NEW.pizza_id AND current_user NOT IN ('order_svc', 'pizza_owner'))
    EXECUTE FUNCTION derive_price();

-- Who records a price also records the total.
DROP TRIGGER IF EXISTS derive_total ON order_detail;
CREATE CONSTRAINT TRIGGER derive_total AFTER INSERT ON order_detail
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW
    WHEN ((NEW.unit_price IS NULL OR NEW.price_derived) AND current_user NOT IN ('order_svc', 'pizza_owner'))
    EXECUTE FUNCTION derive_total();

DROP TRIGGER IF EXISTS derive_new_total ON order_detail;
CREATE CONSTRAINT TRIGGER derive_new_total AFTER UPDATE OR DELETE ON order_detail
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (current_user NOT IN ('order_svc', 'pizza_owner'))
    EXECUTE FUNCTION derive_total();

-- +goose Down
ALTER TABLE order_detail ADD COLUMN IF NOT EXISTS price_derived BOOLEAN; -- an earlier try may have dropped it
DROP TRIGGER IF EXISTS derive_new_total ON order_detail;
DROP TRIGGER IF EXISTS derive_total ON order_detail;
DROP TRIGGER IF EXISTS derive_new_price ON order_detail;
DROP TRIGGER IF EXISTS derive_price ON order_detail;
UPDATE orders SET total_price = NULL WHERE order_id IN (
    SELECT o.order_id FROM orders o
    WHERE EXISTS (SELECT FROM order_detail d WHERE d.order_id = o.order_id AND d.price_derived)
    FOR NO KEY UPDATE SKIP LOCKED);
UPDATE order_detail SET unit_price = NULL WHERE order_detail_id IN (
    SELECT order_detail_id FROM order_detail WHERE price_derived FOR NO KEY UPDATE SKIP LOCKED);
ALTER TABLE order_detail DROP COLUMN IF EXISTS price_derived;
DROP FUNCTION IF EXISTS derive_total();
DROP FUNCTION IF EXISTS derive_price();
DROP FUNCTION IF EXISTS lines_total;
DROP FUNCTION IF EXISTS menu_price;
