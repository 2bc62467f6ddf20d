package migrations_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/events"
	eventspg "example.com/pizza/pkg/events/postgres"
	"example.com/pizza/pkg/testkit/pgtest"
)

// query returns a service's statement by name, from its sqlc file.
func query(t *testing.T, service, file, name string) string {
	t.Helper()
	text, err := os.ReadFile("../services/" + service + "/internal/postgres/queries/" + file)
	if err != nil {
		t.Fatal(err)
	}
	_, found, ok := strings.Cut(string(text), "-- name: "+name+" ")
	if !ok {
		t.Fatalf("%s has no query %s", file, name)
	}
	_, found, _ = strings.Cut(found, "\n")
	found, _, _ = strings.Cut(found, ";\n")
	return regexp.MustCompile(`sqlc\.n?arg\('(\w+)'\)`).ReplaceAllString(found, "@$1")
}

// Background statements read an index, or a bounded number of rows, however
// large the table is: hundreds of thousands of events, sent or pending.
func TestWhatRunsByItselfIsBounded(t *testing.T) {
	t.Parallel()
	d := migrationstest.New(t)
	admin := connect(t, d.URL(""))
	const filled = "'{order_outbox,menu_outbox,login_outbox,event,event_delivery,idempotency_key,revoked_token}'::text[]"
	for _, sql := range []string{
		"SET session_replication_role = replica", // no triggers, no foreign key checks
		// Indexes are built afterwards, which takes a fraction of the time.
		"UPDATE pg_index SET indisready = false, indisvalid = false WHERE indrelid::regclass::text = ANY (" + filled + ")",
		`INSERT INTO order_outbox (id, type, subject, data, created_at, sent_at)
		 SELECT gen_random_uuid(), 'order.created', n::text, '{}', now() - n * interval '1 s', now() - n * interval '1 s'
		 FROM generate_series(1, 250000) n`,
		// 20 are pending, 20 are parked.
		`INSERT INTO order_outbox (id, type, subject, data, parked_at)
		 SELECT gen_random_uuid(), 'order.created', n::text, '{}', CASE WHEN n > 20 THEN now() END FROM generate_series(1, 40) n`,
		// An outage: all are pending, and few subjects have thousands each.
		`INSERT INTO menu_outbox (type, subject, data) SELECT 'catalog.updated', n::text, '{}' FROM generate_series(1, 100000) n`,
		`INSERT INTO login_outbox (type, subject, data)
		 SELECT 'token.revoked', 'member ' || n % 5, '{}' FROM generate_series(1, 100000) n`,
		`INSERT INTO event (id, type, subject, body, published_at)
		 SELECT n::text, 'order.created', n::text, json_build_object('source', '/order', 'id', n), now() - n * interval '1 s'
		 FROM generate_series(1, 250000) n`,
		`INSERT INTO event_consumer (name, types)
		 SELECT name, '{order.created}' FROM unnest('{kitchen,away,stuck}'::text[]) name`,
		`INSERT INTO event_delivery (consumer, seq, subject) SELECT 'away', seq, subject FROM event LIMIT 100000`,
		// All but the first wait for one that backs off.
		`INSERT INTO event_delivery (consumer, seq, subject, next_attempt_at)
		 SELECT 'stuck', seq, 'one', now() + interval '1 hour' * (seq = 1)::int FROM event LIMIT 100000`,
		`INSERT INTO event_delivery (consumer, seq, subject) SELECT 'kitchen', seq, subject FROM event ORDER BY seq LIMIT 20`,
		`INSERT INTO idempotency_key (member_id, key, fingerprint, order_id, status, content_type, location, body, created_at)
		 SELECT n::text, 'k', '', n::text, 201, '', '', '', now() - n * interval '1 s' FROM generate_series(1, 200000) n`,
		`INSERT INTO revoked_token (jti, member_id, expires_at) SELECT n::text, n::text, now() + (n - 100000) * interval '1 s'
		 FROM generate_series(1, 200000) n`,
		"RESET session_replication_role",
		"DO $$ DECLARE t text; BEGIN FOREACH t IN ARRAY " + filled + " LOOP EXECUTE 'REINDEX TABLE ' || t; END LOOP; END $$",
		"ANALYZE",
	} {
		exec(t, admin, sql)
	}
	roles := map[string]*pgx.Conn{"": admin}
	for _, role := range []string{"login_svc", "menu_svc", "order_svc"} {
		roles[role] = connect(t, d.URL(role))
	}
	const few, some = 300, 1000 // pages; a scan of a large table reads more
	batch := events.RelayDefaults()
	for _, o := range publishers() {
		sql := events.Outbox{Table: o.outbox}.Statements()
		pgtest.Bounded(t, roles[o.role], some, sql.Claim, batch.Batch)
		pgtest.Bounded(t, roles[o.role], some, sql.Measure) // up to 10,000 rows
		pgtest.Bounded(t, roles[o.role], some, sql.Prune, batch.Retention, 100)
		pgtest.Bounded(t, roles[o.role], some, eventspg.Statements().Prune, batch.Retention, 100)
		pgtest.Bounded(t, roles[o.role], few, eventspg.Statements().Publish, []string{event("x", o.source, o.prefix+".happened")})
		pgtest.Bounded(t, roles[o.role], few, "SELECT coalesce(max(version_id), 0) FROM schema_version_"+
			strings.TrimSuffix(o.role, "_svc")+" WHERE is_applied")
	}
	for _, consumer := range []string{"kitchen", "away", "nobody"} {
		pgtest.Bounded(t, admin, few, eventspg.Statements().Claim, consumer, 8, "5 s")
	}
	pgtest.Bounded(t, admin, 10*some, eventspg.Statements().Claim, "stuck", 8, "5 s")   // a thousand rows
	pgtest.Bounded(t, admin, few, "SELECT subscribe_events('away', '{order.created}')") // each start of a consumer
	pgtest.Bounded(t, roles["order_svc"], some, query(t, "order", "orders.sql", "DeleteReceipts"),
		pgx.NamedArgs{"lock": 1, "ttl_seconds": 86400, "at_most": 100})
	pgtest.Bounded(t, roles["login_svc"], some, query(t, "login", "revocations.sql", "RevokeToken"),
		pgx.NamedArgs{"jti": "new", "member_id": "ada", "expires_at": "2099-01-01T00:00:00Z"})
	pgtest.Bounded(t, roles["menu_svc"], few, query(t, "menu", "catalog.sql", "Mark"))
}
