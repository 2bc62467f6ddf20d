package migrations

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// errPooler says what to do about an address that leads to a pooler.
var errPooler error = SettingsError{errors.New("the address leads to a connection pooler, and migrate needs the " +
	"PostgreSQL server itself: its locks, its role and its settings are those of a session, which a pooler takes away " +
	"between transactions. Nothing was changed; give migrate the host and port of the server")}

// probeTime bounds the wait for an answer while another connection is in use: a
// pooler with a single connection would block.
const probeTime = 3 * time.Second

// dial opens a connection and verifies that it keeps its session.
func dial(ctx context.Context, c *pgx.ConnConfig) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, c)
	if sqlstate(err) == "08P01" { // protocol_violation: "unsupported startup parameter"
		return nil, fmt.Errorf("%w (%w)", errPooler, err)
	}
	if err != nil {
		return nil, err
	}
	if err := checkDirect(ctx, c, conn); err != nil {
		return nil, errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
	}
	return conn, nil
}

// checkDirect fails with errPooler unless conn keeps its session. PostgreSQL
// sends a client the process id of its session; a pooler sends another number,
// because its clients have no process. Some proxies that preserve sessions do
// the same, so two more checks follow. The requested settings must hold. Each
// transaction must run in the same process even while another connection is
// busy, to which a pooler would give the idle process.
func checkDirect(ctx context.Context, c *pgx.ConnConfig, conn *pgx.Conn) (err error) {
	pid, err := process(ctx, conn)
	if err != nil || pid == conn.PgConn().PID() {
		return err
	}
	for _, name := range []string{"role", "search_path"} {
		want, asked := c.RuntimeParams[name]
		if !asked {
			continue
		}
		var got string
		if err := conn.QueryRow(ctx, "SELECT current_setting($1)", pgx.QueryExecModeSimpleProtocol, name).Scan(&got); err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%w (it drops the setting %s)", errPooler, name)
		}
	}
	other, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, other.Close(context.WithoutCancel(ctx))) }()
	for range 10 {
		tx, err := other.Begin(ctx)
		if err != nil {
			return err
		}
		probe, cancel := context.WithTimeout(ctx, probeTime)
		now, err := process(probe, conn)
		expired := probe.Err() != nil && ctx.Err() == nil
		cancel()
		if expired || err == nil && now != pid {
			return errors.Join(errPooler, tx.Rollback(ctx))
		}
		if err := errors.Join(err, tx.Rollback(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// process returns the id of the server process that runs the statement. It
// avoids prepared statements, which poolers can lose.
func process(ctx context.Context, conn *pgx.Conn) (pid uint32, err error) {
	err = conn.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	return pid, err
}
