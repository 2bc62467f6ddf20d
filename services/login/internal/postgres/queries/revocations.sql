-- name: RevokeToken :exec
-- Every revocation deletes some rows that are past their use, which keeps the
-- tables about as large as the number of live ones without a job of its own.
WITH pruned AS MATERIALIZED (
    SELECT forget_revocations(100)
)
INSERT INTO revoked_token (jti, member_id, expires_at)
SELECT @jti::text, @member_id::text, @expires_at::timestamptz FROM pruned
ON CONFLICT (jti) DO NOTHING;

-- name: RevokeMember :exec
-- The table's trigger keeps the generation and the expiry from ever going down.
INSERT INTO revoked_member AS m (member_id, generation, expires_at)
VALUES (@member_id, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, now() + make_interval(secs => @keep_seconds::float8))
ON CONFLICT (member_id) DO UPDATE
SET generation = greatest(m.generation + 1, EXCLUDED.generation), expires_at = EXCLUDED.expires_at, revoked_at = now();

-- name: IsRevoked :one
-- Two look-ups by primary key.
SELECT (
    EXISTS (SELECT FROM revoked_token t WHERE t.jti = @jti)
    OR EXISTS (SELECT FROM revoked_member m WHERE m.member_id = @member_id AND m.generation > @generation)
)::bool AS revoked;

-- name: ChangePassword :one
-- Compare and swap, and all tokens issued before are revoked with it: there is no
-- moment at which the old password is gone and its tokens still work. No row means
-- that the password was changed by somebody else.
--
-- The setting tells the trigger member_password that this statement takes care of
-- the sessions itself.
WITH changed AS (
    UPDATE member
    SET member_pwd = @new_pwd
    WHERE member.member_id = @member_id AND member.member_pwd = @old_pwd
      AND set_config('pizza.sessions', 'kept', true) = 'kept'
    RETURNING member.member_id AS id
)
INSERT INTO revoked_member AS m (member_id, generation, expires_at)
SELECT changed.id, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, now() + make_interval(secs => @keep_seconds::float8) FROM changed
ON CONFLICT (member_id) DO UPDATE
SET generation = greatest(m.generation + 1, EXCLUDED.generation), expires_at = EXCLUDED.expires_at, revoked_at = now()
RETURNING generation;
