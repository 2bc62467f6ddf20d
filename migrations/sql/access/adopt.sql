-- The tables of the old system pass to pizza_owner; their previous owner keeps
-- reading and writing them. Run by the administrator after rights.sql, whose list names
-- each table that could not be taken over.
--
-- One transaction per table: to change an owner locks the table, and one that
-- locks several can deadlock with the old system, which goes on writing.

DO $$
DECLARE
    t record;
    admin name := current_user;
    v16 boolean := current_setting('server_version_num')::int >= 160000;
    joined boolean;
BEGIN
    FOR t IN
        SELECT c.relname AS name, o.rolname AS owner, o.rolsuper AS superuser
        FROM pg_class c JOIN pg_roles o ON o.oid = c.relowner
        WHERE c.relnamespace = 'public'::regnamespace AND o.rolname <> 'pizza_owner'
          AND c.relname IN ('member', 'pizza_types', 'pizza', 'branch', 'orders', 'order_detail')
    LOOP
        BEGIN
            -- Only who may become a role can give a table to it. A superuser may;
            -- others join for this transaction. From PostgreSQL 16 on, membership has
            -- options, and who creates a role may grant it but not become it.
            joined := NOT pg_has_role('pizza_owner', CASE WHEN v16 THEN 'SET' ELSE 'MEMBER' END);
            IF joined THEN
                EXECUTE format('GRANT pizza_owner TO %I %s', admin,
                    CASE WHEN v16 THEN 'WITH SET TRUE, INHERIT FALSE' END);
            END IF;
            EXECUTE format('ALTER TABLE public.%I OWNER TO pizza_owner', t.name);
            IF NOT t.superuser THEN
                SET LOCAL ROLE pizza_owner;
                EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON public.%I TO %I', t.name, t.owner);
                EXECUTE format('SET LOCAL ROLE %I', admin);
            END IF;
            IF joined THEN
                EXECUTE format('REVOKE pizza_owner FROM %I', admin);
            END IF;
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE WARNING '%', SQLERRM;
        END;
        COMMIT;
    END LOOP;
END
$$;
