-- name: RevokeToken :exec
-- Every revocation clears away some that are past their use, which keeps the
-- table about as large as the number of live ones without a job of its own.
-- The hour is for clocks that differ. The list of ids makes two of these at
-- once lock their rows in the same order.
WITH expired AS (
    DELETE FROM revoked_token
    WHERE jti = ANY (ARRAY(
        SELECT old.jti FROM revoked_token AS old
        WHERE old.expires_at < now() - interval '1 hour'
        ORDER BY old.expires_at, old.jti
        LIMIT 100
    ))
)
INSERT INTO revoked_token (jti, member_id, expires_at)
VALUES (@jti, @member_id, @expires_at)
ON CONFLICT (jti) DO NOTHING;

-- name: IsTokenRevoked :one
SELECT EXISTS (SELECT FROM revoked_token WHERE jti = @jti);
