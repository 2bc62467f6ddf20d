-- name: RevokeToken :exec
-- Every revocation clears away some that are past their use, which keeps the
-- tables about as large as the number of live ones without a job of its own.
-- The hour is for clocks that differ. The list of ids makes two of these at
-- once lock their rows in the same order; of members, rows in work are left.
WITH expired AS (
    DELETE FROM revoked_token
    WHERE jti = ANY (ARRAY(
        SELECT old.jti FROM revoked_token AS old
        WHERE old.expires_at < now() - interval '1 hour'
        ORDER BY old.expires_at, old.jti
        LIMIT 100
    ))
), expired_members AS (
    DELETE FROM revoked_member
    WHERE member_id = ANY (ARRAY(
        SELECT old.member_id FROM revoked_member AS old
        WHERE old.expires_at < now() - interval '1 hour'
        ORDER BY old.expires_at
        LIMIT 100
        FOR UPDATE SKIP LOCKED
    ))
)
INSERT INTO revoked_token (jti, member_id, expires_at)
VALUES (@jti, @member_id, @expires_at)
ON CONFLICT (jti) DO NOTHING;

-- name: RevokeMember :one
INSERT INTO revoked_member AS m (member_id, generation, expires_at)
VALUES (@member_id, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, now() + make_interval(secs => @keep_seconds::float8))
ON CONFLICT (member_id) DO UPDATE
SET generation = greatest(m.generation + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint),
    expires_at = EXCLUDED.expires_at, revoked_at = now()
RETURNING generation, expires_at;

-- name: ChangePassword :one
-- Compare and swap, and all tokens of before are withdrawn with it: there is no
-- moment at which the old password is gone and its tokens work. No row when the
-- password was changed meanwhile.
WITH changed AS (
    UPDATE member
    SET member_pwd = @new_pwd
    WHERE member.member_id = @member_id AND member.member_pwd = @old_pwd
    RETURNING member.member_id AS id
)
INSERT INTO revoked_member AS m (member_id, generation, expires_at)
SELECT changed.id, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, now() + make_interval(secs => @keep_seconds::float8) FROM changed
ON CONFLICT (member_id) DO UPDATE
SET generation = greatest(m.generation + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint),
    expires_at = EXCLUDED.expires_at, revoked_at = now()
RETURNING generation, expires_at;
