-- The members, as the old system made the table: a database that it wrote to
-- passes unchanged.

-- +goose Up
CREATE TABLE IF NOT EXISTS member (
    member_id VARCHAR(100) PRIMARY KEY,
    member_pwd VARCHAR(100) NOT NULL,
    member_nm VARCHAR(100) NOT NULL
);

-- +goose Down
LOCK TABLE member IN ACCESS EXCLUSIVE MODE;
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM member) THEN
        RAISE EXCEPTION 'member has rows: no step back drops members'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
END
$$;
-- +goose StatementEnd
DROP TABLE member;
