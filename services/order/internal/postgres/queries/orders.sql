-- name: InsertOrder :execrows
-- Keeps the order, its lines, its event and, with a key, its receipt in one
-- statement: one round trip, all or nothing, without an explicit transaction.
-- Foreign keys are checked at the end of the statement; unnest reads the arrays in
-- step, one line each. The statement sends no notification: NOTIFY takes a lock
-- over the whole database until the commit is on disk, so orders would be
-- committed one at a time.
--
-- The primary key of idempotency_key prevents a second order: an existing row fails
-- the statement. The advisory lock spares the wait for a transaction that is
-- writing the same key. The lock is released after its row is visible, so a late
-- holder still fails on the row. Two keys with the same hash only cost a retry.
-- No row in the result means that the key is in use.
WITH turn AS MATERIALIZED (
    SELECT CASE WHEN sqlc.narg('key')::text IS NULL THEN true
           ELSE pg_try_advisory_xact_lock(hashtextextended(@member_id::text || ' ' || sqlc.narg('key')::text, 0)) END AS mine
), answered AS (
    INSERT INTO idempotency_key (member_id, key, fingerprint, order_id, status, content_type, location, body)
    SELECT @member_id, sqlc.narg('key')::text, @fingerprint, @order_id, @status, @content_type, @location, @body
    FROM turn
    WHERE mine AND sqlc.narg('key')::text IS NOT NULL
), placed AS (
    INSERT INTO orders (order_id, member_id, bran_id, date, time, created_at, total_price)
    SELECT order_key(@order_id), @member_id, @bran_id, order_date(@date), order_time(@time), @created_at, @total_price
    FROM turn
    WHERE mine
    RETURNING order_id
), lines AS (
    INSERT INTO order_detail (order_id, pizza_id, quantity, unit_price)
    SELECT order_id, unnest(@pizza_ids::text[]), unnest(@quantities::int[]), unnest(@unit_prices::numeric[])
    FROM placed
), announced AS (
    INSERT INTO order_outbox (id, type, subject, data, traceparent)
    SELECT @event_id, @event_type, @order_id, @event_data, @traceparent
    FROM placed
)
SELECT FROM turn WHERE mine;

-- name: NewOrderID :one
-- The id of a new order where ids are numbers; no row, where they are text.
SELECT id::text FROM new_order_id() AS id WHERE id IS NOT NULL;

-- name: GetReceipt :one
SELECT fingerprint, status, content_type, location, body
FROM idempotency_key
WHERE member_id = @member_id AND key = @key;

-- name: DeleteReceipts :one
-- Deletes expired receipts, oldest first, unless another replica is deleting. The
-- function runs as the owner: this role sees only the rows of the member that is
-- set, and here none is.
SELECT CASE WHEN pg_try_advisory_xact_lock(@lock::bigint)
       THEN forget_answers(make_interval(secs => @ttl_seconds::float8), @at_most::int)
       ELSE 0 END::bigint AS forgotten;

-- name: ListOrders :many
-- One row per line of the first page of a member's orders, newest first: by the
-- moment, and then those from before created_at by the local date and time. The
-- three queries of pages differ in where the page starts, so that each reads its
-- rows, and no others, from one index in this order. Rows stop at max_lines.
--
-- The types of date and time change once (`migrate contract`). As text, and by order_date
-- and order_time, they are the same before and after, in statements that are prepared too.
WITH page AS (
    SELECT order_id, bran_id, date, time, created_at
    FROM orders
    WHERE member_id = @member_id
    ORDER BY created_at DESC NULLS LAST, date DESC, time DESC, order_id DESC
    LIMIT @max_orders::int
)
SELECT page.order_id::text AS order_id, page.bran_id, coalesce(page.date::text, '')::text AS date, coalesce(page.time::text, '')::text AS time, page.created_at,
       d.order_detail_id, d.pizza_id, d.quantity, d.unit_price
FROM page
LEFT JOIN order_detail d ON d.order_id = page.order_id
ORDER BY page.created_at DESC NULLS LAST, page.date DESC, page.time DESC, page.order_id DESC, d.order_detail_id
LIMIT @max_lines::int;

-- name: ListOrderIDs :many
-- The orders of the first page, read from the index alone.
SELECT order_id::text AS order_id
FROM orders
WHERE member_id = @member_id
ORDER BY created_at DESC NULLS LAST, date DESC, time DESC, order_id DESC
LIMIT @max_orders::int;

-- name: ListOrdersAfter :many
-- The page after an order whose moment is known: more of these, and then those
-- whose moment is not known.
WITH page AS (
    (SELECT o.order_id, o.bran_id, o.date, o.time, o.created_at
     FROM orders o
     WHERE o.member_id = @member_id
       AND (o.created_at, o.date, o.time, o.order_id) < (@after_created_at::timestamptz, order_date(@after_date), order_time(@after_time), order_key(@after_id))
     ORDER BY o.created_at DESC NULLS LAST, o.date DESC, o.time DESC, o.order_id DESC
     LIMIT @max_orders::int)
    UNION ALL
    (SELECT old.order_id, old.bran_id, old.date, old.time, old.created_at
     FROM orders old
     WHERE old.member_id = @member_id AND old.created_at IS NULL
     ORDER BY old.created_at DESC NULLS LAST, old.date DESC, old.time DESC, old.order_id DESC
     LIMIT @max_orders::int)
    ORDER BY created_at DESC NULLS LAST, date DESC, time DESC, order_id DESC
    LIMIT @max_orders::int
)
SELECT page.order_id::text AS order_id, page.bran_id, coalesce(page.date::text, '')::text AS date, coalesce(page.time::text, '')::text AS time, page.created_at,
       d.order_detail_id, d.pizza_id, d.quantity, d.unit_price
FROM page
LEFT JOIN order_detail d ON d.order_id = page.order_id
ORDER BY page.created_at DESC NULLS LAST, page.date DESC, page.time DESC, page.order_id DESC, d.order_detail_id
LIMIT @max_lines::int;

-- name: ListOldOrdersAfter :many
-- The page after an order whose moment is not known.
WITH page AS (
    SELECT order_id, bran_id, date, time, created_at
    FROM orders
    WHERE member_id = @member_id AND created_at IS NULL
      AND (date, time, order_id) < (order_date(@after_date), order_time(@after_time), order_key(@after_id))
    ORDER BY created_at DESC NULLS LAST, date DESC, time DESC, order_id DESC
    LIMIT @max_orders::int
)
SELECT page.order_id::text AS order_id, page.bran_id, coalesce(page.date::text, '')::text AS date, coalesce(page.time::text, '')::text AS time, page.created_at,
       d.order_detail_id, d.pizza_id, d.quantity, d.unit_price
FROM page
LEFT JOIN order_detail d ON d.order_id = page.order_id
ORDER BY page.created_at DESC NULLS LAST, page.date DESC, page.time DESC, page.order_id DESC, d.order_detail_id
LIMIT @max_lines::int;

-- name: GetOrder :many
-- One row per line of one order of one member.
SELECT o.order_id::text AS order_id, o.bran_id, coalesce(o.date::text, '')::text AS date, coalesce(o.time::text, '')::text AS time, o.total_price,
       d.order_detail_id, d.pizza_id, d.quantity, d.unit_price
FROM orders o
LEFT JOIN order_detail d ON d.order_id = o.order_id
WHERE o.order_id = order_key(@order_id) AND o.member_id = @member_id
ORDER BY d.order_detail_id;

-- name: ListBranches :many
SELECT bran_id, coalesce(bran_nm, '') AS bran_nm FROM branch ORDER BY bran_id;
