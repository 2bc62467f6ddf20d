-- name: InsertMember :execrows
-- No row is written when the id is taken: the table decides, so that of two
-- registrations at the same moment one loses. For an id of a deleted member, the
-- trigger member_new raises unique_violation.
INSERT INTO member (member_id, member_pwd, member_nm)
VALUES (@member_id, @member_pwd, @member_nm)
ON CONFLICT (member_id) DO NOTHING;

-- name: FindMember :one
-- The password and the generation of tokens that it earns are of one snapshot.
SELECT member.member_id, coalesce(member.member_pwd, '') AS member_pwd, coalesce(member.member_nm, '') AS member_nm,
       coalesce(revoked_member.generation, 0)::bigint AS generation
FROM member
LEFT JOIN revoked_member ON revoked_member.member_id = member.member_id
WHERE member.member_id = @member_id;

-- name: ReplacePassword :execrows
-- Compare and swap: a password that was changed meanwhile stays. The setting tells
-- the trigger member_password that the password is the same, so no session ends.
UPDATE member
SET member_pwd = @new_pwd
WHERE member_id = @member_id AND member_pwd = @old_pwd
  AND set_config('pizza.sessions', 'kept', true) = 'kept';
