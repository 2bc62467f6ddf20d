package migrations_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/password"
)

// hashing uses the lowest possible cost.
func hashing(progress io.Writer) migrations.PasswordHashing {
	return migrations.PasswordHashing{Cost: password.Cost{Memory: 8, Passes: 1}, Hashes: 2, Progress: progress}
}

// members adds members with cleartext passwords; see secretOf.
func members(t *testing.T, conn *pgx.Conn, many int) {
	t.Helper()
	exec(t, conn, "INSERT INTO member SELECT 'm' || i, 'secret of ' || i, 'x' FROM generate_series(1, $1) AS i", many)
}

func secretOf(i int) string { return fmt.Sprintf("secret of %d", i) }

// opens reports whether the member's stored password is a hash of pw.
func opens(t *testing.T, conn *pgx.Conn, memberID, pw string) bool {
	t.Helper()
	stored := value[string](t, conn, "SELECT member_pwd FROM member WHERE member_id = $1", memberID)
	v, err := password.Verifier{Cost: hashing(nil).Cost}.Verify(stored, pw)
	if err != nil {
		t.Fatal(err)
	}
	return v.OK && strings.HasPrefix(stored, "$argon2id$v=19$m=8,t=1,p=1$")
}

func TestHashPasswords(t *testing.T) {
	t.Parallel()
	d := migrationstest.New(t)
	conn := connect(t, d.URL(""))
	rows := map[string]string{
		"":        "id is empty",
		"clear":   "pizza1234",
		"korean":  "비밀번호",
		"long":    strings.Repeat("피", 100),
		"prefix":  "pbkdf2xsha256$ is no hash",
		"signs":   `'"\%_$`,
		"argon":   password.Cost{Memory: 16, Passes: 1}.Hash("x"),
		"light":   "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"django":  "pbkdf2_sha256$1000$seasalt$VwPchW/KApnoyJv4aYCexIu29yWMuc+BDPFy72I7Js4=",
		"bcrypt":  "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
		"closed":  "!" + strings.Repeat("a", 40),
		"nothing": "",
	}
	for id, stored := range rows {
		exec(t, conn, "INSERT INTO member VALUES ($1, $2, 'x')", id, stored)
	}
	const all = "SELECT string_agg(member_id || ' ' || member_pwd, E'\n' ORDER BY member_id) FROM member"
	before := value[string](t, conn, all)
	stored := map[password.Kind]int{
		password.Current: 1, password.Weaker: 1, password.Django: 1, password.ClearText: 6, password.Unreadable: 2, password.None: 1,
	}

	dry := hashing(nil)
	dry.DryRun = true
	report, err := migrations.HashPasswords(t.Context(), d.URL("migrator"), dry)
	if diff := cmp.Diff(migrations.PasswordReport{DryRun: true, Members: 12, Stored: stored}, report); diff != "" || err != nil {
		t.Errorf("dry run: %v\n%s", err, diff)
	}
	if after := value[string](t, conn, all); after != before {
		t.Error("a dry run changes rows")
	}

	stored[password.Current], stored[password.ClearText] = 7, 0
	report, err = migrations.HashPasswords(t.Context(), d.URL("migrator"), hashing(io.Discard))
	if diff := cmp.Diff(migrations.PasswordReport{Members: 12, Hashed: 6, Stored: stored}, report); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	for id, was := range rows {
		if password.KindOf(was, hashing(nil).Cost) == password.ClearText {
			if !opens(t, conn, id, was) {
				t.Errorf("%q: the password does not open the hash", id)
			}
			continue
		}
		if now := value[string](t, conn, "SELECT member_pwd FROM member WHERE member_id = $1", id); now != was {
			t.Errorf("%s: %q is %q now", id, was, now)
		}
	}
}

// stopper stops a run at its first progress report.
type stopper struct {
	bytes.Buffer
	stop func()
}

func (s *stopper) Write(p []byte) (int, error) {
	s.stop()
	return s.Buffer.Write(p)
}

// An interrupted run loses nothing, and the next one does the rest.
func TestHashPasswordsGoesOn(t *testing.T) {
	t.Parallel()
	d := migrationstest.New(t)
	conn := connect(t, d.URL(""))
	const many = 450
	members(t, conn, many)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first, err := migrations.HashPasswords(ctx, d.URL("migrator"), hashing(&stopper{stop: cancel}))
	if !errors.Is(err, context.Canceled) || first.Hashed == 0 || first.Hashed >= many {
		t.Fatalf("%+v, %v", first, err)
	}
	const hashed = "SELECT count(*) FROM member WHERE member_pwd LIKE '$argon2id$%'"
	if n := value[int](t, conn, hashed); n != first.Hashed {
		t.Errorf("%d are hashed, %d are reported", n, first.Hashed)
	}
	var told bytes.Buffer
	second, err := migrations.HashPasswords(t.Context(), d.URL("migrator"), hashing(&told))
	if err != nil || first.Hashed+second.Hashed != many || second.Stored[password.Current] != many {
		t.Errorf("%+v after %+v, %v", second, first, err)
	}
	if lines := strings.Split(strings.TrimSpace(told.String()), "\n"); !strings.Contains(lines[len(lines)-1], "hashing: 100%") {
		t.Errorf("progress:\n%s", told.String())
	}
	for i := 1; i <= many; i++ {
		if id := fmt.Sprint("m", i); !opens(t, conn, id, secretOf(i)) {
			t.Errorf("%s cannot log in", id)
		}
	}
}

// Concurrent logins and password changes win: no old password comes back.
func TestHashPasswordsBesideLiveLogins(t *testing.T) {
	t.Parallel()
	d := migrationstest.New(t)
	const many = 1000
	members(t, connect(t, d.URL("")), many)
	service := connect(t, d.URL("login_svc"))
	ran := make(chan error, 1)
	go func() {
		_, err := migrations.HashPasswords(context.WithoutCancel(t.Context()), d.URL("migrator"), hashing(io.Discard))
		ran <- err
	}()
	changed := map[int]bool{}
	for i := many; i > 0; i-- {
		better := hashing(nil).Cost.Hash(secretOf(i)) // a login that upgrades
		if i%2 == 0 {
			better, changed[i] = hashing(nil).Cost.Hash("changed"), true // another password
		}
		for done := false; !done; {
			was := value[string](t, service, "SELECT member_pwd FROM member WHERE member_id = $1", fmt.Sprint("m", i))
			tag, err := service.Exec(t.Context(), "UPDATE member SET member_pwd = $3 WHERE member_id = $1 AND member_pwd = $2", fmt.Sprint("m", i), was, better)
			if err != nil {
				t.Fatal(err)
			}
			done = tag.RowsAffected() == 1
		}
	}
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= many; i++ {
		want := secretOf(i)
		if changed[i] {
			want = "changed"
		}
		if id := fmt.Sprint("m", i); !opens(t, service, id, want) {
			t.Errorf("%s cannot log in", id)
		}
	}
}

// A locked row is skipped and blocks nobody.
func TestHashPasswordsWaitsForNobody(t *testing.T) {
	t.Parallel()
	d := migrationstest.New(t)
	conn := connect(t, d.URL(""))
	members(t, conn, 3)
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT FROM member WHERE member_id = 'm2' FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	report, err := migrations.HashPasswords(t.Context(), d.URL("migrator"), hashing(io.Discard))
	if err != nil || report.Hashed != 2 || report.Skipped != 1 || report.Stored[password.ClearText] != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	exec(t, conn, "SELECT pg_advisory_lock($1)", int64(0x70697a7a61_12))
	if _, err := migrations.HashPasswords(t.Context(), d.URL("migrator"), hashing(io.Discard)); err == nil || !strings.Contains(err.Error(), "another `migrate passwords`") {
		t.Errorf("beside another run: %v", err)
	}
	exec(t, conn, "SELECT pg_advisory_unlock($1)", int64(0x70697a7a61_12))
	if report, err := migrations.HashPasswords(t.Context(), d.URL("migrator"), hashing(io.Discard)); err != nil || report.Hashed != 1 {
		t.Errorf("again: %+v, %v", report, err)
	}
}
