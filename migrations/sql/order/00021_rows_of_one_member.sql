-- The order role sees and adds rows of one member only: the one in the setting
-- pizza.member of its transaction. A statement that forgets its WHERE reads one
-- member's rows, and one that forgets the member reads none. The setting is put
-- by set_config(…, true), which ends with the transaction, so it is never there
-- for whoever uses the connection next; what is left then is '', not NULL.
--
-- Two policies per table. all_rows lets everybody do what their grants say, as
-- before; the restrictive one takes from order_svc what is not the member's. So
-- the old system, and who reads reports, notice nothing, whatever their roles are
-- called. The owner is not subject to either (no FORCE): foreign keys are checked
-- as the owner, and `migrate seed` writes as the owner.
--
-- A line belongs to whom its order does. To read, that is a look at the orders,
-- which are the member's by their own policy. To add, it has to be a function:
-- order and lines are written by one statement, which does not see the order that
-- it has just written, while a volatile function does (PostgreSQL documentation,
-- "Function Volatility Categories"). It runs with the rights of its caller, so
-- the same policy decides. Considered and not taken: the member on each line,
-- which the old system does not write.
--
-- The type of an id of an order is that of the old system's column, which is a number
-- in some databases.
--
-- One lock at a time, so no deadlock with the old system, which locks several
-- tables; so not in one transaction, and each step may be repeated. A policy does
-- nothing until row security is enabled for its table.

-- +goose NO TRANSACTION

-- +goose Up
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION own_order(id orders.order_id%TYPE) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM public.orders o WHERE o.order_id = id);
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION own_order FROM PUBLIC;
GRANT EXECUTE ON FUNCTION own_order TO order_svc;

DROP POLICY IF EXISTS all_rows ON orders;
CREATE POLICY all_rows ON orders USING (true);
DROP POLICY IF EXISTS own_rows ON orders;
CREATE POLICY own_rows ON orders AS RESTRICTIVE TO order_svc
    USING (member_id = nullif(current_setting('pizza.member', true), ''));
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS all_rows ON order_detail;
CREATE POLICY all_rows ON order_detail USING (true);
DROP POLICY IF EXISTS own_rows ON order_detail;
CREATE POLICY own_rows ON order_detail AS RESTRICTIVE TO order_svc
    USING (EXISTS (SELECT FROM orders o WHERE o.order_id = order_detail.order_id))
    WITH CHECK (own_order(order_id));
ALTER TABLE order_detail ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS all_rows ON idempotency_key;
CREATE POLICY all_rows ON idempotency_key USING (true);
DROP POLICY IF EXISTS own_rows ON idempotency_key;
CREATE POLICY own_rows ON idempotency_key AS RESTRICTIVE TO order_svc
    USING (member_id = nullif(current_setting('pizza.member', true), ''));
ALTER TABLE idempotency_key ENABLE ROW LEVEL SECURITY;

-- +goose Down
ALTER TABLE idempotency_key DISABLE ROW LEVEL SECURITY;
ALTER TABLE order_detail DISABLE ROW LEVEL SECURITY;
ALTER TABLE orders DISABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_rows ON idempotency_key;
DROP POLICY IF EXISTS all_rows ON idempotency_key;
DROP POLICY IF EXISTS own_rows ON order_detail;
DROP POLICY IF EXISTS all_rows ON order_detail;
DROP POLICY IF EXISTS own_rows ON orders;
DROP POLICY IF EXISTS all_rows ON orders;
DROP FUNCTION IF EXISTS own_order;
