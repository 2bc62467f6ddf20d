-- What the roles need of the database and of its schema, one row per right: the
-- statement that gives it, whose right that is, and whether the role has it. `migrate
-- roles` runs the statements of this list, in its order, and reads the list again at its
-- end: a GRANT by somebody who may not pass the right on is a mere warning.
--
-- PUBLIC loses two rights. Whoever owns tables of the old system keeps them.
WITH taken AS ( -- the tables of the old system that are not pizza_owner's yet
    SELECT c.relname AS name, o.rolname AS owner, o.rolsuper AS superuser
    FROM pg_class c JOIN pg_roles o ON o.oid = c.relowner
    WHERE c.relnamespace = 'public'::regnamespace AND o.rolname <> 'pizza_owner'
      AND c.relname IN ('member', 'pizza_types', 'pizza', 'branch', 'orders', 'order_detail')
), wanted (step, verb, privilege, kind, role) AS (
    SELECT DISTINCT 1, 'GRANT', privilege, kind, owner
    FROM taken, (VALUES ('CREATE', 'SCHEMA'), ('TEMPORARY', 'DATABASE')) AS lost (privilege, kind)
    WHERE NOT superuser AND CASE kind
        WHEN 'SCHEMA' THEN has_schema_privilege(owner, 'public', privilege)
        ELSE has_database_privilege(owner, current_database(), privilege)
    END
    UNION ALL VALUES
        (2, 'GRANT',  'CONNECT',   'DATABASE', 'migrator'),
        (2, 'GRANT',  'CONNECT',   'DATABASE', 'login_svc'),
        (2, 'GRANT',  'CONNECT',   'DATABASE', 'menu_svc'),
        (2, 'GRANT',  'CONNECT',   'DATABASE', 'order_svc'),
        (2, 'GRANT',  'USAGE',     'SCHEMA',   'pizza_owner'),
        (2, 'GRANT',  'CREATE',    'SCHEMA',   'pizza_owner'),
        (2, 'GRANT',  'USAGE',     'SCHEMA',   'login_svc'),
        (2, 'GRANT',  'USAGE',     'SCHEMA',   'menu_svc'),
        (2, 'GRANT',  'USAGE',     'SCHEMA',   'order_svc'),
        (3, 'REVOKE', 'TEMPORARY', 'DATABASE', 'public'),
        (3, 'REVOKE', 'CREATE',    'SCHEMA',   'public')
), rights AS (
    SELECT w.*, i.name, i.owner,
        CASE kind
            WHEN 'SCHEMA' THEN has_schema_privilege(role, 'public', privilege)
            ELSE has_database_privilege(role, current_database(), privilege)
        END AS has,
        CASE kind
            WHEN 'SCHEMA' THEN has_schema_privilege('public', 'public', privilege)
            ELSE has_database_privilege('public', current_database(), privilege)
        END AS everybody_has
    FROM wanted w
    JOIN (
        SELECT 'DATABASE' AS kind, datname AS name, pg_get_userbyid(datdba) AS owner
        FROM pg_database WHERE datname = current_database()
        UNION ALL -- pg_database_owner has one member, the owner of the database
        SELECT 'SCHEMA', nspname, CASE pg_get_userbyid(nspowner) WHEN 'pg_database_owner' THEN pg_get_userbyid(datdba)
            ELSE pg_get_userbyid(nspowner) END
        FROM pg_namespace, pg_database WHERE nspname = 'public' AND datname = current_database()
    ) AS i USING (kind)
)
SELECT statement, whose, holds, adopts FROM (
    SELECT step,
        format('%s %s ON %s %I %s %s', verb, privilege, kind, name, CASE verb WHEN 'GRANT' THEN 'TO' ELSE 'FROM' END,
            CASE role WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(role) END),
        format('as %s, or a superuser', owner),
        CASE -- what PUBLIC is to lose does not count for the others
            WHEN verb = 'REVOKE' THEN NOT everybody_has
            WHEN privilege IN ('CREATE', 'TEMPORARY') THEN has AND NOT everybody_has
            ELSE has
        END,
        false
    FROM rights
    UNION ALL
    SELECT 4, 'GRANT pizza_owner TO migrator' || CASE WHEN v16 THEN ' WITH SET TRUE' ELSE '' END,
        'as one who has ADMIN OPTION on pizza_owner, or a superuser', false, false
    FROM (SELECT current_setting('server_version_num')::int >= 160000 AS v16) AS server
    WHERE NOT pg_has_role('migrator', 'pizza_owner', CASE WHEN v16 THEN 'SET' ELSE 'MEMBER' END)
    UNION ALL -- adopt.sql does this
    SELECT 5, format('ALTER TABLE public.%I OWNER TO pizza_owner', name) || CASE WHEN superuser THEN '' ELSE
            format('; GRANT SELECT, INSERT, UPDATE, DELETE ON public.%I TO %I', name, owner) END,
        format('as a member of %I and pizza_owner, or a superuser', owner), false, true
    FROM taken
) AS list (step, statement, whose, holds, adopts)
ORDER BY step, statement
