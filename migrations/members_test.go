package migrations_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/password"
)

const taken = "23505" // unique_violation

// owner returns a connection that acts as pizza_owner.
func owner(t *testing.T, d *migrationstest.Database) *pgx.Conn {
	t.Helper()
	conn := connect(t, d.URL("migrator"))
	exec(t, conn, "SET ROLE pizza_owner")
	return conn
}

// The id of a deleted member stays taken, regardless of who deleted it.
func TestIdsOfTheDeletedStayTaken(t *testing.T) {
	t.Parallel()
	d, old := takenOver(t)
	admin, monolith, svc := connect(t, d.URL("")), connect(t, old.Monolith), connect(t, d.URL("login_svc"))
	const add = "INSERT INTO member VALUES ($1, 'pw', 'x')"
	try := func(name, memberID, want string) {
		t.Helper()
		for role, conn := range map[string]*pgx.Conn{"admin": admin, "old system": monolith, "login": svc} {
			tx, err := conn.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = tx.Exec(t.Context(), add, memberID)
			if got := sqlstate(t, err); got != want {
				t.Errorf("%s: %s adds %q: SQLSTATE %q, want %q", name, role, memberID, got, want)
			}
			if err := tx.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, way := range []struct {
		name string
		by   *pgx.Conn
		sql  string
	}{
		{"by_a_superuser", admin, "DELETE FROM member WHERE member_id = 'zoe'"},
		{"by_the_owner", owner(t, d), "DELETE FROM member WHERE member_id = 'zoe'"},
		{"by_the_old_system", monolith, "DELETE FROM member WHERE member_id = 'zoe'"},
		{"renamed", admin, "UPDATE member SET member_id = 'zoey' WHERE member_id = 'zoe'"},
		{"renamed_by_the_old_system", monolith, "UPDATE member SET member_id = 'zoey' WHERE member_id = 'zoe'"},
		{"truncated", owner(t, d), "TRUNCATE member"},
	} {
		exec(t, admin, add, "zoe")
		try(way.name+", before", "zoe", taken)
		exec(t, way.by, way.sql)
		try(way.name, "zoe", taken)
		try(way.name, "ZOE", "")
		if g := value[int64](t, admin, "SELECT generation FROM revoked_member WHERE member_id = 'zoe'"); g == 0 {
			t.Errorf("%s: the sessions are not over", way.name)
		}
		exec(t, admin, "DELETE FROM former_member; DELETE FROM member; DELETE FROM revoked_member; DELETE FROM former_member")
	}

	t.Run("renamed_to_one", func(t *testing.T) {
		exec(t, admin, add, "gone")
		exec(t, admin, "DELETE FROM member WHERE member_id = 'gone'")
		exec(t, admin, add, "park")
		if code := attempt(t, admin, "UPDATE member SET member_id = 'gone' WHERE member_id = 'park'"); code != taken {
			t.Errorf("SQLSTATE %q", code)
		}
		if code := attempt(t, admin, "UPDATE member SET member_id = 'park', member_nm = 'y' WHERE member_id = 'park'"); code != "" {
			t.Errorf("the same id: SQLSTATE %q", code)
		}
	})
	t.Run("restored", func(t *testing.T) { // a row that was deleted by mistake
		exec(t, admin, "DELETE FROM former_member WHERE id_hash = sha256('gone')")
		exec(t, admin, add, "gone")
	})
	t.Run("seeded", func(t *testing.T) {
		for range 2 {
			if err := migrations.Seed(t.Context(), d.URL("migrator"), func(migrations.Added) {}); err != nil {
				t.Fatal(err)
			}
			exec(t, admin, "DELETE FROM member WHERE member_id = $1", migrations.DemoMember)
		}
	})
}

// A registration that waits for a concurrent delete of the row fails, too.
func TestIdIsTakenWhileItIsDeleted(t *testing.T) {
	t.Parallel()
	d := migrationstest.New(t)
	admin, svc := connect(t, d.URL("")), connect(t, d.URL("login_svc"))
	exec(t, admin, "INSERT INTO member VALUES ('kim', 'pw', 'x')")
	deleting, err := admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := deleting.Exec(t.Context(), "DELETE FROM member"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := svc.Exec(t.Context(), "INSERT INTO member VALUES ('kim', 'pw', 'Eve') ON CONFLICT DO NOTHING")
		done <- err
	}()
	watch := connect(t, d.URL(""))
	for !value[bool](t, watch, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'login_svc' AND wait_event_type = 'Lock' AND datname = current_database())") {
		time.Sleep(time.Millisecond)
	}
	if err := deleting.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if code := sqlstate(t, <-done); code != taken {
		t.Errorf("SQLSTATE %q", code)
	}
}

// Ids that have orders but no member at takeover are taken as well.
func TestIdsWithOrdersAreTaken(t *testing.T) {
	t.Parallel()
	old := migrationstest.NewOldSystem(t)
	conn := connect(t, old.DSN)
	exec(t, conn, "INSERT INTO orders (order_id, member_id, date, time) VALUES ('o', 'deleted long ago', 'd', 't')")
	d := migrate(t, old.DSN)
	if code := attempt(t, connect(t, d.URL("login_svc")), "INSERT INTO member VALUES ('deleted long ago', 'pw', 'Eve')"); code != taken {
		t.Errorf("SQLSTATE %q", code)
	}
}

// A new password ends the sessions, regardless of who stores it; a new hash of
// the same password does not.
func TestPasswordChangedBySQLEndsSessions(t *testing.T) {
	t.Parallel()
	d, old := takenOver(t)
	admin, monolith, svc := connect(t, d.URL("")), connect(t, old.Monolith), connect(t, d.URL("login_svc"))
	const change = "UPDATE member SET member_pwd = member_pwd || '!' WHERE member_id = 'kim'"
	for _, writer := range []struct {
		name, sql string
		by        *pgx.Conn
		ends      bool
	}{
		{"support, as the superuser", change, admin, true},
		{"support, as the owner", change, owner(t, d), true},
		{"support, as login", change, svc, true},
		{"old system", change, monolith, true},
		{"old system saves another name", "UPDATE member SET member_pwd = member_pwd, member_nm = 'y' WHERE member_id = 'kim'", monolith, false},
		{"old system saves nothing new", "UPDATE member SET member_pwd = 'pw', member_nm = 'x' WHERE member_id = 'kim'", monolith, false},
		{"upsert", "INSERT INTO member VALUES ('kim', 'other', 'x') ON CONFLICT (member_id) DO UPDATE SET member_pwd = EXCLUDED.member_pwd", monolith, true},
		{"all of them", "UPDATE member SET member_pwd = 'locked'", admin, true},
		{"rehash by login", change + " AND set_config('pizza.sessions', 'kept', true) = 'kept'", svc, false},
		{"a change after a rehash", change, svc, true}, // the setting ended with its transaction
	} {
		exec(t, admin, "DELETE FROM member; DELETE FROM former_member; DELETE FROM revoked_member")
		exec(t, admin, "INSERT INTO member VALUES ('kim', 'pw', 'x')")
		exec(t, writer.by, writer.sql)
		if ended := value[int](t, admin, "SELECT count(*)::int FROM revoked_member WHERE member_id = 'kim'") == 1; ended != writer.ends {
			t.Errorf("%s: the sessions end: %v", writer.name, ended)
		}
	}
	// migrate passwords
	exec(t, admin, "DELETE FROM member; DELETE FROM former_member; DELETE FROM revoked_member")
	exec(t, admin, "INSERT INTO member VALUES ('kim', 'clear text', 'x')")
	report, err := migrations.HashPasswords(t.Context(), d.URL("migrator"), hashing(io.Discard))
	if err != nil || report.Hashed != 1 || report.Stored[password.ClearText] != 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	if n := value[int](t, admin, "SELECT count(*)::int FROM revoked_member"); n != 0 {
		t.Error("hashing a password has ended sessions")
	}
}

// Only hashes and token revocations still name a forgotten member, and other
// members are unaffected.
func TestForgetMember(t *testing.T) {
	t.Parallel()
	d := migrationstest.NewSeeded(t)
	admin := connect(t, d.URL(""))
	for _, id := range []string{"kim", "lee"} {
		for _, sql := range []string{
			"INSERT INTO member VALUES ($1, 'pw', 'name of ' || $1)",
			"INSERT INTO revoked_token (jti, member_id, expires_at) VALUES ('jti of ' || $1, $1, now() + interval '1 hour')",
			"INSERT INTO orders (order_id, member_id, date, time) SELECT 'order ' || i || ' of ' || $1, $1, 'd', 't' FROM generate_series(1, 3) AS i",
			"INSERT INTO order_detail (order_id, pizza_id, quantity) VALUES ('order 1 of ' || $1, 'bbq_ckn_s', 2)",
			`INSERT INTO idempotency_key (member_id, key, fingerprint, order_id, status, content_type, location, body)
				VALUES ($1, 'k', '', 'order 1 of ' || $1, 201, '', '', '')`,
			`INSERT INTO order_outbox (id, type, subject, data, sent_at)
				SELECT gen_random_uuid(), 'order.created', 'order ' || i, json_build_object('member_id', $1::text, 'order_id', i), CASE i WHEN 1 THEN now() END
				FROM generate_series(1, 2) AS i`,
			`INSERT INTO event (id, type, subject, body) VALUES
				('created by ' || $1, 'order.created', 'o', json_build_object('type', 'order.created', 'data', json_build_object('member_id', $1::text, 'order_id', 'o'))),
				('revoked of ' || $1, 'token.revoked', $1, json_build_object('subject', $1::text))`,
		} {
			exec(t, admin, strings.ReplaceAll(sql, "$1", "'"+id+"'"))
		}
	}
	exec(t, admin, "UPDATE login_outbox SET sent_at = now()")
	before := namesOf(t, admin, "lee")
	done, err := migrations.ForgetMember(t.Context(), d.URL("migrator"), "kim")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int64{}
	for _, f := range done {
		rows[f.Table] += f.Rows
	}
	want := map[string]int64{
		"member": 1, "revoked_token": 1, "revoked_member": 1, "login_outbox": 1, "orders": 3, "idempotency_key": 1, "order_outbox": 2, "event": 2,
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
	left := namesOf(t, admin, "kim")
	for table := range left {
		// Only in this test do the ids of orders contain the member.
		if table != "revoked_member" && table != "login_outbox" && table != "orders" && table != "order_detail" && table != "event" {
			t.Errorf("%s names the member: %v", table, left[table])
		}
	}
	if n := value[int](t, admin, `SELECT (SELECT count(*) FROM orders WHERE member_id = 'kim')::int
		+ (SELECT count(*) FROM event WHERE subject = 'kim' OR body::text LIKE '%"kim"%')::int
		+ (SELECT count(*) FROM revoked_member WHERE member_id = 'kim' AND expires_at > now() + interval '8 days')::int
		+ (SELECT count(*) FROM login_outbox WHERE subject = 'kim' AND sent_at IS NOT NULL)::int`); n != 0 {
		t.Errorf("%d rows name the member", n)
	}
	if n := value[int](t, admin, "SELECT count(*)::int FROM orders WHERE member_id = ''"); n != 3 {
		t.Errorf("%d orders are there", n)
	}
	if diff := cmp.Diff(before, namesOf(t, admin, "lee")); diff != "" {
		t.Errorf("another member:\n%s", diff)
	}
	// The orders belong to nobody, not even to a member without an id.
	svc := connectAs(t, d, "")
	if n := value[int](t, svc, "SELECT count(*)::int FROM orders"); n != 0 {
		t.Errorf("%d orders can be read", n)
	}
	for _, id := range []string{"kim", ""} {
		if code := attempt(t, connect(t, d.URL("login_svc")), "INSERT INTO member VALUES ('"+id+"', 'pw', 'Eve')"); code != taken {
			t.Errorf("%q: SQLSTATE %q", id, code)
		}
	}
	again, err := migrations.ForgetMember(t.Context(), d.URL("migrator"), "kim")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range again {
		if f.Rows != 0 {
			t.Errorf("again: %+v", f)
		}
	}
}

// namesOf returns the rows of each table that name a member, as text.
func namesOf(t *testing.T, conn *pgx.Conn, memberID string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, table := range values[string](t, conn, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1") {
		if rows := values[string](t, conn, "SELECT r::text FROM "+table+" AS r WHERE r::text ~ $1 ORDER BY 1", `\m`+memberID+`\M`); len(rows) > 0 {
			found[table] = rows
		}
	}
	return found
}
