-- Ids under which there are orders, and no member any more, stay taken, as those of
-- members that are deleted from now on do (former_member, of login).

-- +goose Up
INSERT INTO former_member (id_hash)
SELECT DISTINCT sha256(convert_to(o.member_id, 'UTF8'))
FROM orders o
WHERE NOT EXISTS (SELECT FROM member m WHERE m.member_id = o.member_id)
ON CONFLICT DO NOTHING;

-- +goose Down
-- The ids stay taken until former_member is dropped.
SELECT 1;
