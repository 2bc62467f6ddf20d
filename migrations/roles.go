package migrations

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Passwords are those of the roles that log in.
type Passwords struct {
	Migrator, Login, Menu, Order string
}

// ApplyRoles creates the roles that are missing, gives them the passwords, and
// hands the tables of the old system to pizza_owner; their previous owner keeps
// reading and writing them. adminDSN names a superuser, or a role that owns the
// database and the tables and may create roles.
//
// A password reaches the server as a SCRAM verifier only, so that it is in no
// log and no statistics there.
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

// retry runs do again when it has lost a race. Roles belong to all databases of
// a server, but no lock does: when several databases are prepared at once, only
// one of them wins.
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

// rolesScript is one implicit transaction: several statements in one message.
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
		// The verifier is ASCII without quotes and backslashes.
		script += fmt.Sprintf("\nALTER ROLE %s PASSWORD '%s';", r.name, verifier)
	}
	return script, nil
}

// raced tells the errors by which PostgreSQL refuses the second of two changes
// of one role, or one of two that wait for each other.
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
