-- Who there is. Run by an administrator, in one transaction, as often as wanted:
-- it changes only what differs. What the roles may do in the database is in rights.sql, and
-- what they may do to a table in grants.sql.
--
--   pizza_owner   owns the tables; nobody logs in as it
--   migrator      changes the schema, by becoming the owner
--   login_svc     \
--   menu_svc       > the services
--   order_svc     /

DO $$
DECLARE
    r record;
BEGIN
    FOR r IN
        SELECT * FROM (VALUES
            ('pizza_owner', false),
            ('migrator',    true),
            ('login_svc',   true),
            ('menu_svc',    true),
            ('order_svc',   true)
        ) AS wanted (name, login)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r.name) THEN
            EXECUTE format('CREATE ROLE %I NOINHERIT', r.name);
        END IF;
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = r.name
                   AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)) THEN
            RAISE EXCEPTION 'the role % exists and may do more than it should', r.name
                USING HINT = 'take SUPERUSER, BYPASSRLS, CREATEROLE, CREATEDB and REPLICATION from it, or rename it';
        END IF;
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = r.name AND (rolinherit OR rolcanlogin <> r.login)) THEN
            EXECUTE format('ALTER ROLE %I NOINHERIT %s', r.name, CASE WHEN r.login THEN 'LOGIN' ELSE 'NOLOGIN' END);
        END IF;
    END LOOP;
END
$$;
