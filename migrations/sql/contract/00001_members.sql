-- The contract: what the old system could not bear. It has no way back. A database of
-- the old system may lack a NOT NULL of the design document.
--
-- The rows are read under a lock that stops nobody: NOT VALID leaves them alone,
-- VALIDATE reads them, and SET NOT NULL believes the check.

-- +goose NO TRANSACTION

-- +goose Up
ALTER TABLE member DROP CONSTRAINT IF EXISTS member_present;
ALTER TABLE member ADD CONSTRAINT member_present CHECK (member_pwd IS NOT NULL AND member_nm IS NOT NULL) NOT VALID;
ALTER TABLE member VALIDATE CONSTRAINT member_present;
ALTER TABLE member ALTER COLUMN member_pwd SET NOT NULL, ALTER COLUMN member_nm SET NOT NULL;
ALTER TABLE member DROP CONSTRAINT member_present;
