package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"example.com/pizza/pkg/fault"
)

// Kinds of database errors, as values of the label "kind". The first five mean
// that the database cannot be used now.
const (
	unreachable = "unreachable" // no connection could be made, or one broke
	refusing    = "refusing"    // the server is stopping, short of resources, or prefers another transaction
	unusable    = "unusable"    // an operator has to act: login, grant, schema, read-only server, damaged data
	timedOut    = "timeout"     // of the statement, or of the request while it waited
	canceled    = "canceled"    // by the caller
	constraint  = "constraint"  // a row breaks a rule of its table
	unkeepable  = "unkeepable"  // text that the database cannot store
	otherwise   = "other"
)

func kinds() []string {
	return []string{unreachable, refusing, unusable, timedOut, canceled, constraint, unkeepable, otherwise}
}

// Times after which a client should try again: a restart or a failover takes a
// few seconds, an operator takes longer.
const (
	retryAfter         = 5 * time.Second
	retryAfterOperator = 30 * time.Second
)

// Fault gives a database error its code: Unavailable if the database cannot be
// used now, whatever the reason, Invalid for text that it cannot store, and
// otherwise err unchanged, which is Internal. nil stays nil.
func Fault(err error) error {
	if err == nil {
		return nil
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	switch kind(err) {
	case unreachable, refusing, timedOut, canceled:
		return fault.Wrap(err, fault.Unavailable, "the database is unavailable; try again").Retry(retryAfter)
	case unusable:
		return fault.Wrap(err, fault.Unavailable, "the database is unavailable; try again").Retry(retryAfterOperator)
	case unkeepable:
		return fault.Wrap(err, fault.Invalid, "a value holds characters that cannot be kept")
	}
	return err
}

// kind classifies an error by who has to act on it. Failed attempts to connect
// come first: whatever the server's reason, nothing can be done without a
// connection.
func kind(err error) string {
	var connect *pgconn.ConnectError
	var pg *pgconn.PgError
	connecting, answered := errors.As(err, &connect), errors.As(err, &pg)
	switch {
	case connecting && errors.Is(err, context.Canceled):
		return canceled
	case connecting && !answered:
		return unreachable // also when DB_CONNECT_TIMEOUT has passed
	case answered:
		return kindOfState(pg, connecting)
	case errors.Is(err, context.Canceled):
		return canceled
	case errors.Is(err, context.DeadlineExceeded):
		return timedOut
	case isConnectionLost(err):
		return unreachable
	}
	return otherwise
}

// kindOfState classifies what the server has answered (PostgreSQL documentation,
// appendix A). The table in docs/operations/database.md says
// the same to operators.
func kindOfState(err *pgconn.PgError, connecting bool) string {
	switch err.Code {
	case "57014", "55P03": // canceled by statement_timeout or by an operator, lock_timeout
		return timedOut
	case "22021", "22P05": // a byte or character that the encoding does not have
		return unkeepable
	case "25006", // read-only: a standby, or default_transaction_read_only
		"42501",                                              // a missing grant
		"42P01", "42703", "42704", "42883", "42P10", "3F000", // a missing table, column, type, function, index, schema
		"26000", "42P05", "0A000", // prepared statements lost or doubled by a pooler, or outdated by a migration
		"XX001", "XX002": // damaged data, damaged index
		return unusable
	}
	switch class(err) {
	case "08":
		return unreachable
	case "40", "53", "57", "55": // lost against another transaction, resources, operator intervention, object in use
		if class(err) == "55" && connecting {
			return unusable // a database that accepts no connections
		}
		return refusing
	case "23":
		return constraint
	case "28", "3D", "58", "F0": // login, database, system error, configuration file
		return unusable
	}
	switch {
	case connecting:
		return unusable
	case err.SeverityUnlocalized == "FATAL" || err.SeverityUnlocalized == "PANIC":
		return refusing // the server ended the connection, for example by a timeout of idle transactions
	}
	return otherwise
}

func class(err *pgconn.PgError) string { return err.Code[:min(2, len(err.Code))] }

// isConnectionLost reports whether a connection broke under a statement. pgconn
// reports some of these without a type.
func isConnectionLost(err error) bool {
	var network net.Error
	return errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "closed pool")
}

// needsNewSession reports whether a connection that met err must not be used
// again. A read-only server, a search path or a prepared statement belong to the
// session: after a failover or an operator's correction, only a new one works.
// Grants take effect in open sessions.
func needsNewSession(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code != "42501" && kind(err) == unusable
}
