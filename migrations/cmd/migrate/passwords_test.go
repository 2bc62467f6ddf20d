package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations"
	"example.com/pizza/pkg/password"
)

// The cutover, as an operator performs it.
func TestPasswords(t *testing.T) {
	t.Parallel()
	admin, migrator := database(t)
	admin.mustRun(t, []string{"roles"})
	migrator.mustRun(t, []string{"up"})
	conn, err := pgx.Connect(t.Context(), admin["DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	if _, err := conn.Exec(t.Context(), `INSERT INTO member VALUES
		('a', 'pizza1234', 'x'), ('b', '비밀번호', 'x'), ('c', 'pbkdf2_sha256$1000$seasalt$VwPchW/KApnoyJv4aYCexIu29yWMuc+BDPFy72I7Js4=', 'x')`); err != nil {
		t.Fatal(err)
	}
	migrator.mustRun(t, []string{"passwords", "--dry-run"}, "clear_text         2", "django_pbkdf2      1",
		"2 passwords would be hashed; nothing is changed")
	stdout, stderr, err := migrator.run(t, "passwords", "--yes", "--json")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(stderr, "hashing: 100%  2/2 passwords, ") || !strings.Contains(stderr, " left") {
		t.Errorf("progress %q", stderr)
	}
	var got migrations.PasswordReport
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatal(err)
	}
	want := migrations.PasswordReport{Members: 3, Hashed: 2, Stored: map[password.Kind]int{
		password.Current: 2, password.Weaker: 0, password.Django: 1, password.ClearText: 0, password.Unreadable: 0, password.None: 0,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	migrator.mustRun(t, []string{"passwords", "--yes"}, "argon2id           2", "replaced when the member logs in", "hashed 0 passwords; none is in clear text")
	dearer := program{"PASSWORD_PASSES": "3"}
	for name, value := range migrator {
		dearer[name] = value
	}
	dearer.mustRun(t, []string{"passwords", "--dry-run"}, "argon2id_outdated  2", "0 passwords would be hashed")
}

// A password that somebody holds stays in clear text: that is no success.
func TestPasswordsLeft(t *testing.T) {
	t.Parallel()
	admin, migrator := database(t)
	admin.mustRun(t, []string{"roles"})
	migrator.mustRun(t, []string{"up"})
	conn, err := pgx.Connect(t.Context(), admin["DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	for _, sql := range []string{
		"INSERT INTO member VALUES ('a', 'pizza1234', 'x')", "BEGIN", "SELECT FROM member FOR UPDATE",
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"passwords", "--yes"}, {"passwords", "--yes", "--json"}} {
		stdout, _, err := migrator.run(t, args...)
		if exitStatus(err) != 1 || !strings.Contains(err.Error(), "1 passwords are in clear text") ||
			!strings.Contains(stdout, "clear_text") {
			t.Errorf("%v: %v, stdout %q", args, err, stdout)
		}
	}
	if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	migrator.mustRun(t, []string{"passwords", "--yes"}, "hashed 1 passwords; none is in clear text")
}
