package postgres_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/services/login/internal/login"
	"example.com/pizza/services/login/internal/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func open(t *testing.T, dsn string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// newStore returns a store with the service's role, and a superuser's pool.
func newStore(t *testing.T) (*postgres.Store, *pgxpool.Pool) {
	t.Helper()
	db := migrationstest.New(t)
	return postgres.NewStore(open(t, db.URL("login_svc")), func() {}), open(t, db.URL(""))
}

func count(t *testing.T, pool *pgxpool.Pool, table string) (rows int) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestMembers(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	ctx := t.Context()
	ada := login.Member{ID: strings.Repeat("피", 100), Name: strings.Repeat("이", 100)}
	hash := strings.Repeat("h", 100)
	if err := store.Insert(ctx, ada, hash); err != nil {
		t.Fatal(err)
	}
	m, stored, err := store.Find(ctx, ada.ID)
	if err != nil || m != ada || stored != hash {
		t.Errorf("found %+v, %q, %v", m, stored, err)
	}
	if err := store.Insert(ctx, login.Member{ID: ada.ID, Name: "x"}, "x"); fault.CodeOf(err) != fault.Conflict {
		t.Errorf("the id again: %v", err)
	}
	if m, stored, err := store.Find(ctx, "nobody"); fault.CodeOf(err) != fault.NotFound || stored != "" || m != (login.Member{}) {
		t.Errorf("nobody: %+v, %q, %v", m, stored, err)
	}
	if _, _, err := store.Find(ctx, "a\x00b"); fault.CodeOf(err) != fault.Invalid {
		t.Errorf("NUL: %v", err)
	}
}

// Only the value that was checked is replaced.
func TestReplacePassword(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	ctx := t.Context()
	for _, id := range []string{"ada", "bob"} {
		if err := store.Insert(ctx, login.Member{ID: id, Name: "x"}, "old"); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		id, from, to string
		want         bool
		stored       string
	}{
		{"ada", "old", "new", true, "new"},
		{"ada", "old", "newer", false, "new"}, // changed meanwhile
		{"nobody", "old", "new", false, ""},
	} {
		got, err := store.ReplacePassword(ctx, step.id, step.from, step.to)
		if err != nil || got != step.want {
			t.Errorf("%s from %s: %v, %v", step.id, step.from, got, err)
		}
		if _, stored, _ := store.Find(ctx, step.id); stored != step.stored {
			t.Errorf("%s is at %q, want %q", step.id, stored, step.stored)
		}
	}
	if _, stored, _ := store.Find(ctx, "bob"); stored != "old" {
		t.Errorf("another member's password is %q", stored)
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	store, admin := newStore(t)
	for range 2 { // repeating is fine
		if err := store.Revoke(t.Context(), login.Token{ID: "one", MemberID: "ada", ExpiresAt: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	if rows := count(t, admin, "revoked_token"); rows != 1 {
		t.Errorf("%d rows", rows)
	}
}

// Each revocation of a member's tokens is newer than every login before it.
func TestRevokeMember(t *testing.T) {
	t.Parallel()
	store, admin := newStore(t)
	ctx := t.Context()
	if err := store.Insert(ctx, login.Member{ID: "ada", Name: "Ada"}, "stored"); err != nil {
		t.Fatal(err)
	}
	var last int64
	for range 3 {
		m, _, err := store.Find(ctx, "ada")
		if err != nil || m.Generation != last {
			t.Errorf("a login gets %d, want %d, %v", m.Generation, last, err)
		}
		if err := store.RevokeMember(ctx, "ada", time.Hour); err != nil {
			t.Fatal(err)
		}
		g, expires := generation(t, admin)
		if g <= last || time.Until(expires) < 59*time.Minute {
			t.Fatalf("%d until %s, after %d", g, expires, last)
		}
		for token, want := range map[int64]bool{0: true, last: true, g - 1: true, g: false} {
			if revoked, err := store.IsRevoked(ctx, claims("x", "ada", token)); revoked != want || err != nil {
				t.Errorf("a token of generation %d of %d is revoked: %v, %v", token, g, revoked, err)
			}
		}
		last = g
	}
	// This also holds after the clock of the database was set back.
	if _, err := admin.Exec(ctx, "UPDATE revoked_member SET generation = generation + 3600000000"); err != nil {
		t.Fatal(err)
	}
	if err := store.RevokeMember(ctx, "ada", time.Hour); err != nil {
		t.Error(err)
	}
	if g, _ := generation(t, admin); g != last+3600000001 {
		t.Errorf("%d after %d", g, last+3600000000)
	}
	if err := store.RevokeMember(ctx, "nobody", time.Hour); err != nil {
		t.Errorf("nobody: %v", err)
	}
}

// generation returns the stored revocation of all tokens of ada.
func generation(t *testing.T, conn *pgxpool.Pool) (g int64, expires time.Time) {
	t.Helper()
	err := conn.QueryRow(t.Context(), "SELECT generation, expires_at FROM revoked_member WHERE member_id = 'ada'").Scan(&g, &expires)
	if err != nil {
		t.Fatal(err)
	}
	return g, expires
}

// claims returns a token that lives for another hour.
func claims(id, memberID string, generation int64) login.Token {
	return login.Token{ID: id, MemberID: memberID, Generation: generation, ExpiresAt: time.Now().Add(time.Hour)}
}

// No statement of the login role restores a revoked token: generation and
// expiry only grow, and rows are deleted only when no token can be left.
func TestNothingBringsTokensBack(t *testing.T) {
	t.Parallel()
	d := migrationstest.New(t)
	store := postgres.NewStore(open(t, d.URL("login_svc")), func() {})
	ctx := t.Context()
	if err := store.RevokeMember(ctx, "ada", 48*time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := store.Revoke(ctx, claims("one", "bob", 0)); err != nil {
		t.Fatal(err)
	}
	role := open(t, d.URL("login_svc"))
	g, until := generation(t, role)
	for _, sql := range []string{
		"UPDATE revoked_member SET generation = 1",
		"UPDATE revoked_member SET expires_at = now() - interval '1 day'",
		"UPDATE revoked_member SET member_id = 'eve'",
		"UPDATE revoked_member SET generation = 9007199254740992", // no new token would be valid
		"DELETE FROM revoked_member",
		"TRUNCATE revoked_member",
		"SELECT forget_revocations(1000)",
		"UPDATE revoked_token SET expires_at = now() - interval '1 day'",
		"UPDATE revoked_token SET jti = 'two'",
		"DELETE FROM revoked_token",
		"INSERT INTO revoked_token VALUES ('one', 'bob', now() - interval '1 day') ON CONFLICT (jti) DO UPDATE SET expires_at = EXCLUDED.expires_at",
	} {
		_, _ = role.Exec(ctx, sql) // rejected, or without effect
		for _, c := range []login.Token{claims("x", "ada", g-1), claims("one", "bob", 0)} {
			if revoked, err := store.IsRevoked(ctx, c); !revoked || err != nil {
				t.Fatalf("%s: the token of %s is revoked: %v, %v", sql, c.MemberID, revoked, err)
			}
		}
		if now, expires := generation(t, role); now < g || now >= 1<<53 || expires.Before(until) {
			t.Errorf("%s: generation %d until %s, was %d until %s", sql, now, expires, g, until)
		}
	}
	// A later revocation with a shorter life does not shorten the first.
	if err := store.RevokeMember(ctx, "ada", time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, expires := generation(t, role); expires.Before(until) {
		t.Errorf("until %s, was %s", expires, until)
	}
}

// The password and the tokens change together or not at all.
func TestChangePassword(t *testing.T) {
	t.Parallel()
	store, admin := newStore(t)
	ctx := t.Context()
	if err := store.Insert(ctx, login.Member{ID: "ada", Name: "Ada"}, "old"); err != nil {
		t.Fatal(err)
	}
	if _, changed, err := store.ChangePassword(ctx, "ada", "other", "new", time.Hour); changed || err != nil {
		t.Errorf("from another password: %v, %v", changed, err)
	}
	if rows := count(t, admin, "revoked_member"); rows != 0 {
		t.Error("nothing changed, and yet the tokens were revoked")
	}
	g, changed, err := store.ChangePassword(ctx, "ada", "old", "new", time.Hour)
	if !changed || err != nil {
		t.Fatal(changed, err)
	}
	if m, stored, err := store.Find(ctx, "ada"); err != nil || stored != "new" || m.Generation != g || g == 0 {
		t.Errorf("%+v with %q, %v; revoked are those before %d", m, stored, err, g)
	}
}

// Obsolete rows are deleted, even during many concurrent logouts; rows that
// still revoke a token stay.
func TestRevocationsAreClearedAway(t *testing.T) {
	t.Parallel()
	store, admin := newStore(t)
	ctx := t.Context()
	_, err := admin.Exec(ctx, `
		INSERT INTO revoked_token (jti, member_id, expires_at)
		SELECT 'gone' || i, 'ada', now() - interval '2 hours' - i * interval '1 second' FROM generate_series(1, 350) AS i
		UNION ALL SELECT 'just_expired', 'ada', now() - interval '1 minute'
		UNION ALL SELECT 'alive', 'ada', now() + interval '1 minute'`)
	if err != nil {
		t.Fatal(err)
	}
	_, err = admin.Exec(ctx, `
		INSERT INTO revoked_member (member_id, generation, expires_at)
		VALUES ('gone', 1, now() - interval '2 hours'), ('just_expired', 1, now() - interval '1 minute'), ('alive', 1, now() + interval '1 minute')`)
	if err != nil {
		t.Fatal(err)
	}
	const callers = 8
	failed := make(chan error, callers)
	for i := range callers {
		go func() {
			failed <- store.Revoke(ctx, login.Token{ID: fmt.Sprint("new", i), MemberID: "ada", ExpiresAt: time.Now().Add(time.Hour)})
		}()
	}
	var errs []error
	for range callers {
		errs = append(errs, <-failed)
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for i := range 4 { // deletes what the concurrent calls may have left
		if err := store.Revoke(ctx, login.Token{ID: fmt.Sprint("last", i), MemberID: "ada", ExpiresAt: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	var old, rest int
	err = admin.QueryRow(ctx, "SELECT count(*) FILTER (WHERE jti LIKE 'gone%'), count(*) FILTER (WHERE jti NOT LIKE 'gone%') FROM revoked_token").Scan(&old, &rest)
	if err != nil || old != 0 || rest != callers+4+2 {
		t.Errorf("%d old rows and %d others, %v", old, rest, err)
	}
	if rows := count(t, admin, "revoked_member"); rows != 2 {
		t.Errorf("%d rows of members", rows)
	}
}

func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	pool := open(t, "postgres://x:y@127.0.0.1:1/z?sslmode=disable")
	store := postgres.NewStore(pool, func() {})
	ctx := t.Context()
	_, _, find := store.Find(ctx, "ada")
	_, replace := store.ReplacePassword(ctx, "ada", "a", "b")
	_, revoked := store.IsRevoked(ctx, login.Token{})
	_, _, change := store.ChangePassword(ctx, "ada", "a", "b", time.Hour)
	for name, err := range map[string]error{
		"insert": store.Insert(ctx, login.Member{}, ""), "find": find, "replace": replace, "revoke": store.Revoke(ctx, login.Token{}), "revoke_member": store.RevokeMember(ctx, "ada", time.Hour), "revoked": revoked, "change": change,
	} {
		if fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
}
