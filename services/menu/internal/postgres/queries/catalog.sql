-- name: Catalog :many
-- The version and all rows in one statement, which sees one moment: they always
-- belong together. A type without pizzas is a row without a pizza, an empty
-- catalog one row with the version alone. Some databases of the old system have
-- NULL where the design document has text, or a price: that is NaN, which is no
-- price either. The type of the price changes once (`migrate contract`), that of the
-- result does not: so prepared statements go on.
SELECT v.version, v.mark::text AS mark, v.cache_key,
       t.pizza_type_id, coalesce(t.pizza_nm, '') AS pizza_nm, coalesce(t.pizza_categ, '') AS pizza_categ,
       coalesce(t.pizza_img_url, '') AS pizza_img_url,
       p.pizza_id, p.size, coalesce(p.price, 'NaN')::float8 AS price
FROM catalog_version v
LEFT JOIN pizza_types t ON true
LEFT JOIN pizza p ON p.pizza_type_id = t.pizza_type_id
ORDER BY t.pizza_type_id, p.pizza_id;

-- name: Version :one
SELECT version FROM catalog_version;

-- name: Mark :one
SELECT mark::text AS mark, cache_key FROM catalog_version;

-- name: LockCatalog :exec
-- One writer at a time, also against the old system, so that what a change has
-- checked is still true when it writes. Readers, and the foreign keys of new
-- orders, do not wait for this lock.
LOCK TABLE pizza_types, pizza IN SHARE ROW EXCLUSIVE MODE;

-- name: TypeNames :many
SELECT pizza_type_id, coalesce(pizza_nm, '') AS pizza_nm FROM pizza_types ORDER BY pizza_type_id;

-- name: InsertType :exec
-- Not ON CONFLICT DO UPDATE: that is an insert and an update to the triggers,
-- which would count one change twice.
INSERT INTO pizza_types (pizza_type_id, pizza_nm, pizza_categ, pizza_img_url)
VALUES (@id, @name, @category, @image);

-- name: UpdateType :exec
UPDATE pizza_types SET pizza_nm = @name, pizza_categ = @category, pizza_img_url = @image WHERE pizza_type_id = @id;

-- name: DeleteType :execrows
DELETE FROM pizza_types WHERE pizza_type_id = @id;

-- name: CheckPizza :one
-- Whether the id is there, and whether the type is.
SELECT EXISTS (SELECT FROM pizza p WHERE p.pizza_id = @id) AS known,
       EXISTS (SELECT FROM pizza_types t WHERE t.pizza_type_id = @type_id) AS type_known;

-- name: SizesOfType :many
SELECT pizza_id, coalesce(size, '') AS size FROM pizza WHERE pizza_type_id = @type_id::varchar ORDER BY pizza_id;

-- name: InsertPizza :exec
INSERT INTO pizza (pizza_id, pizza_type_id, size, price)
VALUES (@id, @type_id, @size, @price);

-- name: UpdatePizza :exec
UPDATE pizza SET pizza_type_id = @type_id, size = @size, price = @price WHERE pizza_id = @id;

-- name: DeletePizza :execrows
DELETE FROM pizza WHERE pizza_id = @id;
