-- What each service may do, one line per table and verb. Applied by the owner at
-- the end of every `migrate up`, in one transaction: what has no line here is
-- taken away, and a service that is running never finds a right missing.
--
-- A service writes the tables it owns and reads nothing that it does not need.
-- Which rows the order role may do it to, the policies of its tables say.
-- Where a service may write some columns only, a verb names them. Sequences and
-- functions need no line: identities draw their numbers, triggers run without
-- rights of the writer, and what is called is granted where it is made.

DO $$
DECLARE
    t regclass;
BEGIN
    FOR t IN
        SELECT oid FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
          AND relowner = 'pizza_owner'::regrole
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, migrator, login_svc, menu_svc, order_svc', t);
    END LOOP;
END
$$;

-- login: members, and their revoked tokens
GRANT SELECT ON member               TO login_svc;
GRANT INSERT ON member               TO login_svc;
GRANT UPDATE (member_pwd) ON member  TO login_svc;
GRANT SELECT ON revoked_token        TO login_svc;
GRANT INSERT ON revoked_token        TO login_svc;
GRANT SELECT ON revoked_member       TO login_svc;
GRANT INSERT ON revoked_member       TO login_svc;
GRANT UPDATE ON revoked_member       TO login_svc; -- revoked again
GRANT SELECT ON login_outbox         TO login_svc; -- the trigger of those two writes
GRANT UPDATE (attempts, next_attempt_at, last_error, sent_at, parked_at) ON login_outbox TO login_svc;
GRANT DELETE ON login_outbox         TO login_svc; -- published
GRANT SELECT ON schema_version_login TO login_svc;

-- menu: the catalog
GRANT SELECT ON pizza_types          TO menu_svc;
GRANT INSERT ON pizza_types          TO menu_svc;
GRANT UPDATE ON pizza_types          TO menu_svc;
GRANT DELETE ON pizza_types          TO menu_svc;
GRANT SELECT ON pizza                TO menu_svc;
GRANT INSERT ON pizza                TO menu_svc;
GRANT UPDATE ON pizza                TO menu_svc;
GRANT DELETE ON pizza                TO menu_svc;
GRANT SELECT ON catalog_version      TO menu_svc; -- its trigger counts
GRANT SELECT ON menu_outbox          TO menu_svc; -- its trigger writes
GRANT UPDATE (attempts, next_attempt_at, last_error, sent_at, parked_at) ON menu_outbox TO menu_svc;
GRANT DELETE ON menu_outbox          TO menu_svc; -- published
GRANT SELECT ON schema_version_menu  TO menu_svc;

-- order: orders are placed, read and announced, never changed
GRANT SELECT ON branch               TO order_svc;
GRANT SELECT ON orders               TO order_svc;
GRANT INSERT ON orders               TO order_svc;
GRANT SELECT ON order_detail         TO order_svc;
GRANT INSERT ON order_detail         TO order_svc;
GRANT SELECT ON order_outbox         TO order_svc;
GRANT INSERT (id, type, subject, data, traceparent) ON order_outbox TO order_svc;
GRANT UPDATE (attempts, next_attempt_at, last_error, sent_at, parked_at) ON order_outbox TO order_svc;
GRANT DELETE ON order_outbox         TO order_svc; -- published
GRANT SELECT ON idempotency_key      TO order_svc;
GRANT INSERT (member_id, key, fingerprint, order_id, status, content_type, location, body) ON idempotency_key TO order_svc;
GRANT SELECT ON revoked_token        TO order_svc; -- a token ends at once for every service
GRANT SELECT ON revoked_member       TO order_svc;
GRANT SELECT ON schema_version_order TO order_svc;

-- events: no service has a right on the tables. They publish and prune by functions,
-- which allow each its own types. Consumers have roles of their own, see allow_consumer.
