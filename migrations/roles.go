package migrations

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Passwords holds the passwords of the roles that can log in.
type Passwords struct {
	Migrator, Login, Menu, Order string
}

// ApplyRoles creates the roles that are missing, gives them the passwords and what
// they need of the database, and hands the tables of the old system to pizza_owner;
// their previous owner keeps reading and writing them. adminDSN names a superuser, or a
// role that owns the database and the tables and may create roles. An error names
// everything that another administrator could not do.
//
// Passwords are sent to the server only as SCRAM verifiers, so that they appear
// in no log or statistics there.
func ApplyRoles(ctx context.Context, adminDSN string, passwords Passwords) (err error) {
	script, err := rolesScript(passwords)
	if err != nil {
		return err
	}
	c, err := parse(ctx, adminDSN)
	if err != nil {
		return err
	}
	if err := checkTakeover(ctx, c); err != nil {
		return err
	}
	c.RuntimeParams["lock_timeout"] = lockTimeout
	conn, err := dial(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if err := administer(ctx, conn, script); err != nil {
		return fmt.Errorf("sql/access/roles.sql: %w", err)
	}
	rights, err := readRights(ctx, conn)
	if err != nil {
		return err
	}
	for _, r := range rights {
		if r.Adopts {
			continue
		}
		// What is refused, by an error or a warning, is still missing below.
		if err := administer(ctx, conn, r.Statement); err != nil && sqlstate(err) != insufficientPrivilege {
			return fmt.Errorf("%s: %w", r.Statement, err)
		}
	}
	adopt, err := files.ReadFile("sql/access/adopt.sql")
	if err != nil {
		return err
	}
	if err := administer(ctx, conn, string(adopt)); err != nil {
		return fmt.Errorf("sql/access/adopt.sql: %w", err)
	}
	return checkRights(ctx, conn)
}

// administer executes SQL, again when it has lost a race.
func administer(ctx context.Context, conn *pgx.Conn, sql string) error {
	return explainLock(hint(retry(ctx, func() error {
		_, err := conn.Exec(ctx, sql)
		return err
	})))
}

// right is one row of sql/access/rights.sql.
type right struct {
	Statement, Whose string
	Holds            bool
	Adopts           bool // a table, which adopt.sql does
}

func readRights(ctx context.Context, conn *pgx.Conn) ([]right, error) {
	list, err := files.ReadFile("sql/access/rights.sql")
	if err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, string(list))
	if err != nil {
		return nil, fmt.Errorf("sql/access/rights.sql: %w", err)
	}
	rights, err := pgx.CollectRows(rows, pgx.RowToStructByPos[right])
	if err != nil {
		return nil, fmt.Errorf("sql/access/rights.sql: %w", err)
	}
	return rights, nil
}

// checkRights returns one error with everything that is missing, as statements for
// somebody who may run them.
func checkRights(ctx context.Context, conn *pgx.Conn) error {
	rights, err := readRights(ctx, conn)
	if err != nil {
		return err
	}
	var missing strings.Builder
	for _, r := range rights {
		if !r.Holds {
			fmt.Fprintf(&missing, "\n  %s; -- %s", r.Statement, r.Whose)
		}
	}
	if missing.Len() == 0 {
		return nil
	}
	return fmt.Errorf("the administrator %s may not do everything that `migrate roles` has to do. Run it as a superuser, "+
		"or as a role with CREATEROLE that owns the database and the tables; or have this run in the database %s, "+
		"and run it again:%s",
		conn.Config().User, conn.Config().Database, missing.String())
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
			return "", SettingsError{fmt.Errorf("password of %s: %w", r.name, err)}
		}
		// The verifier is ASCII without quotes or backslashes.
		script += fmt.Sprintf("\nALTER ROLE %s PASSWORD '%s';", r.name, verifier)
	}
	return script, nil
}

// raced reports whether err means that a concurrent change of the same role
// won, that two changes deadlocked, or that a table was in use for too long.
func raced(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	switch pg.Code {
	case "23505", "42710", "40P01", lockNotAvailable: // unique_violation, duplicate_object, deadlock_detected
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
