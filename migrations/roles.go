package migrations

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Passwords holds the passwords of the roles that can log in.
type Passwords struct {
	Migrator, Login, Menu, Order string
}

// ApplyRoles creates the missing roles, sets their passwords, and transfers the
// tables of the old system to pizza_owner; the previous owner can still read
// and write them. adminDSN names a superuser, or a role that owns the database
// and the tables and may create roles.
//
// Passwords are sent to the server only as SCRAM verifiers, so that they appear
// in no log or statistics there.
func ApplyRoles(ctx context.Context, adminDSN string, passwords Passwords) (err error) {
	script, err := rolesScript(passwords)
	if err != nil {
		return err
	}
	c, err := parse(adminDSN)
	if err != nil {
		return err
	}
	c.RuntimeParams["lock_timeout"] = lockTimeout
	conn, err := dial(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	adopt, err := files.ReadFile("sql/access/adopt.sql")
	if err != nil {
		return err
	}
	for _, step := range []struct{ name, sql string }{{"roles.sql", script}, {"adopt.sql", string(adopt)}} {
		if err := retry(ctx, func() error {
			_, err := conn.Exec(ctx, step.sql)
			return err
		}); err != nil {
			return fmt.Errorf("sql/access/%s: %w", step.name, explainLock(err))
		}
	}
	return nil
}

// retry repeats do when it lost a race. Roles are shared by all databases of a
// server, but locks are not: when several databases are prepared at once, only
// one run wins.
func retry(ctx context.Context, do func() error) error {
	const tries = 20
	for try := 1; ; try++ {
		err := do()
		if err == nil || !raced(err) || try == tries {
			return err
		}
		if err := pause(ctx, rand.N(time.Duration(try)*20*time.Millisecond)); err != nil { //nolint:gosec // spread, not a secret
			return err
		}
	}
}

// rolesScript returns one message, and so one implicit transaction.
func rolesScript(p Passwords) (string, error) {
	roles, err := files.ReadFile("sql/access/roles.sql")
	if err != nil {
		return "", err
	}
	script := string(roles)
	for _, r := range []struct{ name, password string }{
		{"migrator", p.Migrator}, {"login_svc", p.Login}, {"menu_svc", p.Menu}, {"order_svc", p.Order},
	} {
		verifier, err := scramVerifier(r.password)
		if err != nil {
			return "", fmt.Errorf("password of %s: %w", r.name, err)
		}
		// The verifier is ASCII without quotes or backslashes.
		script += fmt.Sprintf("\nALTER ROLE %s PASSWORD '%s';", r.name, verifier)
	}
	return script, nil
}

// raced reports whether err means that a concurrent change of the same role
// won, or that two changes deadlocked.
func raced(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	switch pg.Code {
	case "23505", "42710", "40P01": // unique_violation, duplicate_object, deadlock_detected
		return true
	case "XX000": // internal_error
		return pg.Message == "tuple concurrently updated"
	}
	return false
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
