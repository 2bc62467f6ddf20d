-- A changed password ends the sessions of its member, whoever changes it: support
-- by SQL, or the old system. Another hash of the same password does not. Only its
-- writer knows which of the two it is, so whoever stores the same password in
-- another form says so, in the statement that does it or in its transaction:
--
--   set_config('pizza.sessions', 'kept', true)
--
-- Those are the login service, when a login brings a better hash, and `migrate
-- passwords`. Login also says so when it changes a password, because it withdraws
-- the tokens in the same statement and returns the new generation.

-- +goose Up
CREATE TRIGGER member_password AFTER UPDATE ON member FOR EACH ROW
    WHEN (OLD.member_pwd IS DISTINCT FROM NEW.member_pwd AND current_setting('pizza.sessions', true) IS DISTINCT FROM 'kept')
    EXECUTE FUNCTION member_gone();

-- +goose Down
DROP TRIGGER member_password ON member;
