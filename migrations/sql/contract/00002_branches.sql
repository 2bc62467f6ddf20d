-- As for members.

-- +goose NO TRANSACTION

-- +goose Up
ALTER TABLE branch DROP CONSTRAINT IF EXISTS branch_present;
ALTER TABLE branch ADD CONSTRAINT branch_present CHECK (bran_nm IS NOT NULL) NOT VALID;
ALTER TABLE branch VALIDATE CONSTRAINT branch_present;
ALTER TABLE branch ALTER COLUMN bran_nm SET NOT NULL;
ALTER TABLE branch DROP CONSTRAINT branch_present;
