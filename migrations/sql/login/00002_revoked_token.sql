-- Tokens that a member has logged out of. A row is of use until the token
-- expires by itself; login deletes it then, and finds it by the index.

-- +goose Up
CREATE TABLE revoked_token (
    jti TEXT PRIMARY KEY,
    member_id VARCHAR(100) NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    revoked_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX revoked_token_expires_at_idx ON revoked_token (expires_at);

-- +goose Down
DROP TABLE revoked_token;
