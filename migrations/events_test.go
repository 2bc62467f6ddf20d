package migrations_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/migrationstest"
)

// publisher is a service that publishes events.
type publisher struct{ role, prefix, source, outbox string }

func publishers() []publisher {
	return []publisher{
		{"login_svc", "token", "/login", "login_outbox"},
		{"menu_svc", "catalog", "/menu", "menu_outbox"},
		{"order_svc", "order", "/order", "order_outbox"},
	}
}

// event returns a CloudEvent as a relay publishes it.
func event(id, source, eventType string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":%q,"type":%q,"subject":"s","data":{}}`, id, source, eventType)
}

const (
	publish    = "SELECT publish_events(ARRAY[$1::json])"
	publishOne = "SELECT publish_event($1)" // of older builds
)

// A service publishes only its own types under its own source. It cannot read
// events, not even its own.
func TestEventsBelongToTheirPublisher(t *testing.T) {
	t.Parallel()
	const refusedEvent = "22023" // invalid_parameter_value: the relay parks such a row
	d := migrationstest.New(t)
	for _, o := range publishers() {
		t.Run(o.role, func(t *testing.T) {
			t.Parallel()
			conn := connect(t, d.URL(o.role))
			own := o.prefix + ".happened"
			exec(t, conn, publish, event("1", o.source, own))
			for _, other := range publishers() {
				if other == o {
					continue
				}
				for name, body := range map[string]string{
					"type of another":            event("2", o.source, other.prefix+".happened"),
					"type and source of another": event("2", other.source, other.prefix+".happened"),
					"source of another":          event("2", other.source, own),
					"second type":                strings.Replace(event("2", o.source, own), `"data"`, `"type":"`+other.prefix+`.happened","data"`, 1),
					"type in another case":       strings.Replace(event("2", o.source, own), `"data"`, `"Type":"`+other.prefix+`.happened","data"`, 1),
					"prefix alone":               event("2", o.source, other.prefix),
				} {
					for _, sql := range []string{publish, publishOne} {
						_, err := conn.Exec(t.Context(), sql, body)
						if code := sqlstate(t, err); code != refusedEvent {
							t.Errorf("%s %s: SQLSTATE %q", name, other.prefix, code)
						}
					}
				}
			}
			for name, body := range map[string]string{
				"no type": `{"specversion":"1.0","id":"2","source":"` + o.source + `"}`, "nothing": `{}`,
				"unknown attribute": strings.Replace(event("2", o.source, own), `"data"`, `"note":"","data"`, 1),
				"similar prefix":    event("2", o.source, o.prefix+"s.happened"),
			} {
				_, err := conn.Exec(t.Context(), publish, body)
				if code := sqlstate(t, err); code != refusedEvent {
					t.Errorf("%s: SQLSTATE %q", name, code)
				}
				_, err = conn.Exec(t.Context(), "SELECT publish_events(ARRAY[$1, $2]::json[])", event("with a wrong one", o.source, own), body)
				if code := sqlstate(t, err); code != refusedEvent {
					t.Errorf("%s, with another: SQLSTATE %q", name, code)
				}
			}
			_, err := conn.Exec(t.Context(), "SELECT publish_events(ARRAY[$1, NULL]::json[])", event("with none", o.source, own))
			if code := sqlstate(t, err); code != refusedEvent {
				t.Errorf("no event at all: SQLSTATE %q", code)
			}
			kept := values[string](t, connect(t, d.URL("")), "SELECT id FROM event WHERE body ->> 'source' = $1", o.source)
			if diff := cmp.Diff([]string{"1"}, kept); diff != "" {
				t.Errorf("kept events: %s", diff)
			}
		})
	}
}

// Nobody can suppress another service's event by publishing its id first.
func TestEventIDsBelongToTheirSource(t *testing.T) {
	t.Parallel()
	d := migrationstest.New(t)
	for _, o := range publishers() {
		exec(t, connect(t, d.URL(o.role)), publish, event("same", o.source, o.prefix+".happened"))
		exec(t, connect(t, d.URL(o.role)), publish, event("same", o.source, o.prefix+".again"))
	}
	got := values[string](t, connect(t, d.URL("")), "SELECT type FROM event ORDER BY 1")
	if diff := cmp.Diff([]string{"catalog.happened", "order.happened", "token.happened"}, got); diff != "" {
		t.Error(diff)
	}
}

// hostile returns ages that would include young rows: '1 month -29 days' counts
// as a day, but a month has 28 to 31 days.
func hostile() []string {
	return []string{
		"interval '0'", "interval '-1 year'", "interval '-100000 years'", "interval '59 minutes'", "NULL",
		"interval '1 month -31 days'", "interval '1 month -30 days -1 hour'", "interval '2 months -62 days'", "interval '-1 day 25 hours'",
	}
}

// Rows younger than an hour stay, for any age passed to a function.
func TestFunctionsKeepWhatIsYoung(t *testing.T) {
	t.Parallel()
	d := migrationstest.New(t)
	admin := connect(t, d.URL(""))
	for _, o := range publishers() {
		exec(t, admin, `INSERT INTO event (id, type, subject, body, published_at)
			SELECT age::text, $1 || '.happened', '', json_build_object('source', $2::text), now() - age FROM unnest('{0,59m,61m,2 days}'::interval[]) age`,
			o.prefix, o.source)
		exec(t, admin, `INSERT INTO `+o.outbox+` (id, type, subject, data, created_at, sent_at)
			SELECT gen_random_uuid(), $1 || '.happened', '', '{}', now() - written, now() - sent
			FROM unnest('{0,59m,2 days,0,2 days,2 days}'::interval[], '{0,59m,59m,2 days,61m,NULL}'::interval[]) AS x (written, sent)`, o.prefix)
	}
	exec(t, admin, `INSERT INTO idempotency_key (member_id, key, fingerprint, order_id, status, content_type, location, body, created_at)
		SELECT 'm', age::text, '', '', 201, '', '', '', now() - age FROM unnest('{0,59m,61m,2 days}'::interval[]) age`)
	for _, f := range []struct{ role, function, table, left string }{
		{"login_svc", "prune_login_outbox", "login_outbox", "5"},
		{"menu_svc", "prune_menu_outbox", "menu_outbox", "5"},
		{"order_svc", "prune_order_outbox", "order_outbox", "5"},
		{"login_svc", "prune_events", "event WHERE type ~ 'token'", "2"},
		{"menu_svc", "prune_events", "event WHERE type ~ 'catalog'", "2"},
		{"order_svc", "prune_events", "event WHERE type ~ 'order'", "2"},
		{"order_svc", "forget_answers", "idempotency_key", "2"},
	} {
		conn := connect(t, d.URL(f.role))
		for _, age := range hostile() {
			for _, limit := range []string{"2147483647", "1000", "NULL"} {
				if code := attempt(t, conn, "SELECT "+f.function+"("+age+", "+limit+")"); code != "" && code != "22008" { // out of range
					t.Errorf("%s of %s: SQLSTATE %q", f.function, age, code)
				}
				if _, err := conn.Exec(t.Context(), "SELECT "+f.function+"("+age+", "+limit+")"); err != nil && sqlstate(t, err) != "22008" {
					t.Error(err)
				}
			}
		}
		if left := value[string](t, admin, "SELECT count(*)::text FROM "+f.table); left != f.left {
			t.Errorf("%s by %s: %s rows are left, want %s", f.function, f.role, left, f.left)
		}
	}
}

// A service cannot prune another service's events.
func TestPruningKeepsTheEventsOfOthers(t *testing.T) {
	t.Parallel()
	d := migrationstest.New(t)
	admin := connect(t, d.URL(""))
	for _, o := range publishers() {
		exec(t, admin, `INSERT INTO event (id, type, subject, body, published_at)
			VALUES ('1', $1 || '.happened', '', json_build_object('source', $2::text), now() - interval '1 year')`, o.prefix, o.source)
	}
	exec(t, connect(t, d.URL("menu_svc")), "SELECT prune_events('1 hour', 1000)")
	got := values[string](t, admin, "SELECT type FROM event ORDER BY 1")
	if diff := cmp.Diff([]string{"order.happened", "token.happened"}, got); diff != "" {
		t.Error(diff)
	}
}

// An outbox accepts only its owner's types, for transports that do not check.
func TestOutboxTypes(t *testing.T) {
	t.Parallel()
	d := migrationstest.New(t)
	const insert = "INSERT INTO order_outbox (id, type, subject, data) VALUES (gen_random_uuid(), '%s', 's', '{}')"
	conn := connect(t, d.URL("order_svc"))
	for eventType, want := range map[string]string{"order.created": "", "token.revoked": "23514", "ordering.started": "23514"} {
		if code := attempt(t, conn, fmt.Sprintf(insert, eventType)); code != want {
			t.Errorf("%s: SQLSTATE %q", eventType, code)
		}
	}
}

// A consumer's role sees its own deliveries and their events, and updates them.
// It can subscribe only to the types that it was allowed.
func TestConsumersSeeTheirOwn(t *testing.T) {
	t.Parallel()
	d := migrationstest.New(t)
	admin := connect(t, d.URL(""))
	for _, role := range []string{"kitchen_role", "books_role"} {
		exec(t, admin, `DO $$ BEGIN CREATE ROLE `+role+` LOGIN NOINHERIT PASSWORD '`+migrationstest.Passwords().Order+`';
			EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`)
	}
	exec(t, admin, "SELECT allow_consumer('kitchen', 'kitchen_role', '{order.created}')")
	exec(t, admin, "SELECT allow_consumer('books', 'books_role', '{order.created,catalog.updated}')")
	kitchen, books := connect(t, d.URL("kitchen_role")), connect(t, d.URL("books_role"))
	exec(t, kitchen, "SELECT subscribe_events('kitchen', '{order.created}')")
	exec(t, books, "SELECT subscribe_events('books', '{catalog.updated}')")
	for i, o := range publishers() {
		exec(t, connect(t, d.URL(o.role)), publish, event(fmt.Sprint(i), o.source, o.prefix+map[string]string{
			"token": ".revoked", "catalog": ".updated", "order": ".created"}[o.prefix]))
	}
	for name, c := range map[string]struct {
		conn *pgx.Conn
		want []string
	}{"kitchen": {kitchen, []string{"order.created"}}, "books": {books, []string{"catalog.updated"}}} {
		if diff := cmp.Diff(c.want, values[string](t, c.conn, "SELECT type FROM event ORDER BY 1")); diff != "" {
			t.Errorf("%s sees %s", name, diff)
		}
		for _, query := range []string{"SELECT name FROM event_consumer", "SELECT consumer FROM event_delivery"} {
			if diff := cmp.Diff([]string{name}, values[string](t, c.conn, query)); diff != "" {
				t.Errorf("%s: %s: %s", name, query, diff)
			}
		}
	}
	for _, sql := range []string{
		"SELECT subscribe_events('kitchen', '{order.created,token.revoked}')",
		"SELECT subscribe_events('kitchen', '{token.revoked}')",
		"SELECT subscribe_events('kitchen', NULL)",
		"SELECT subscribe_events('books', '{order.created}')",
		"SELECT subscribe_events('another', '{order.created}')",
		"SELECT allow_consumer('kitchen', 'kitchen_role', '{token.revoked}')",
		"SELECT publish_event('{}')",
		"SELECT publish_events('{}')",
		"SELECT prune_events('1 hour', 1)",
		"UPDATE event_consumer SET may = '{token.revoked}'",
		"INSERT INTO event_delivery (consumer, seq, subject) SELECT 'kitchen', 1, ''",
		"UPDATE event_delivery SET seq = 1",
		"UPDATE event_delivery SET consumer = 'books'",
		"UPDATE event SET body = '{}'",
		"DELETE FROM event",
		"SELECT FROM order_outbox",
		"LOCK TABLE event_consumer IN EXCLUSIVE MODE",
	} {
		if code := attempt(t, kitchen, sql); code != refused {
			t.Errorf("%s: SQLSTATE %q", sql, code)
		}
	}
	exec(t, kitchen, "UPDATE event_delivery SET attempts = 1")
	exec(t, kitchen, "DELETE FROM event_delivery")
	if left := values[string](t, admin, "SELECT consumer || attempts FROM event_delivery"); !cmp.Equal(left, []string{"books0"}) {
		t.Errorf("left are %v", left)
	}
}
