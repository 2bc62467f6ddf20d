-- Who there is. Run by an administrator, in one transaction, as often as wanted:
-- it changes only what differs. What each role may do to a table is in grants.sql.
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
    IF NOT EXISTS (SELECT FROM pg_auth_members WHERE roleid = 'pizza_owner'::regrole AND member = 'migrator'::regrole) THEN
        GRANT pizza_owner TO migrator;
    END IF;
END
$$;

-- PUBLIC loses two rights below. Whoever owns tables of the old system keeps them.
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN
        SELECT DISTINCT o.rolname AS name
        FROM pg_class c JOIN pg_roles o ON o.oid = c.relowner
        WHERE c.relnamespace = 'public'::regnamespace AND o.rolname <> 'pizza_owner' AND NOT o.rolsuper
          AND c.relname IN ('member', 'pizza_types', 'pizza', 'branch', 'orders', 'order_detail')
    LOOP
        IF has_schema_privilege(r.name, 'public', 'CREATE') THEN
            EXECUTE format('GRANT CREATE ON SCHEMA public TO %I', r.name);
        END IF;
        IF has_database_privilege(r.name, current_database(), 'TEMPORARY') THEN
            EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO %I', current_database(), r.name);
        END IF;
    END LOOP;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO migrator, login_svc, menu_svc, order_svc', current_database());
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
END
$$;

GRANT USAGE, CREATE ON SCHEMA public TO pizza_owner;
GRANT USAGE ON SCHEMA public TO login_svc, menu_svc, order_svc;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
