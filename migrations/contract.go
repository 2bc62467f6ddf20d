package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/takeover"
)

// ContractOptions says what the contract depends on.
type ContractOptions struct {
	OldRole  string            // the role of the old system
	Parity   string            // the file of a report of parity
	Zone     *time.Location    // the shop's time zone, which applies to all dates and times
	Progress func(part string) // called before each part of the check
}

// ContractReport is the result of CheckContract.
type ContractReport struct {
	// Applied says that nothing is left to do; nothing else was examined then.
	Applied bool `json:"applied"`
	takeover.Report
}

// CheckContract examines whether ApplyContract may begin, and changes nothing. dsn names
// the role migrator, or a superuser.
func CheckContract(ctx context.Context, dsn string, o ContractOptions) (r ContractReport, err error) {
	list, err := Status(ctx, dsn)
	if err != nil {
		return ContractReport{}, err
	}
	ours := slices.DeleteFunc(slices.Clone(list), func(m Migration) bool { return m.Owner != Contract })
	begun := len(ours) > 0
	if begun && !slices.ContainsFunc(ours, pending) {
		return ContractReport{Applied: true}, nil
	}
	conn, err := connect(ctx, dsn)
	if err != nil {
		return ContractReport{}, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	options := takeover.ContractOptions{
		OldRole: o.OldRole, Parity: o.Parity, Zone: o.Zone.String(), Begun: begun, Progress: o.Progress,
		Findings: notUp(list), Locks: takeover.ContractLocks(),
	}
	options.Locks = slices.DeleteFunc(options.Locks, func(l takeover.Lock) bool {
		return slices.ContainsFunc(ours, func(m Migration) bool { return !pending(m) && l.Migration == m.file() })
	})
	if options.Findings == nil {
		o.Progress("the history")
		if options.Findings, err = gaps(ctx, conn, o.Zone); err != nil {
			return ContractReport{}, explain(err)
		}
	}
	r.Report, err = takeover.CheckContract(ctx, conn, options)
	return r, explain(err)
}

func pending(m Migration) bool { return m.AppliedAt == nil }

// file returns "order/00003_number_lines".
func (m Migration) file() string { return fmt.Sprintf("%s/%05d_%s", m.Owner, m.Version, m.Name) }

// notUp reports migrations of Up that are not applied, and those of a newer program.
func notUp(list []Migration) []takeover.Finding {
	var waiting, unknown []string
	for _, m := range list {
		switch {
		case m.Unknown():
			unknown = append(unknown, m.file())
		case m.Owner != Contract && pending(m):
			waiting = append(waiting, m.file())
		}
	}
	f := takeover.Finding{Level: takeover.Stop, Check: "migrations", Object: "database"}
	var findings []takeover.Finding
	if waiting != nil {
		f.Found, f.Remedy = "not applied, so that the history was not examined: "+strings.Join(waiting, ", "), "migrate up"
		findings = append(findings, f)
	}
	if unknown != nil {
		f.Found, f.Remedy = "of a newer program: "+strings.Join(unknown, ", "), "run the newer program"
		findings = append(findings, f)
	}
	return findings
}

// gaps reports what FillHistory can still fill, and orders that it cannot give a moment.
func gaps(ctx context.Context, conn *pgx.Conn, zone *time.Location) ([]takeover.Finding, error) {
	var r BackfillReport
	if err := r.count(ctx, conn, zone); err != nil {
		return nil, err
	}
	var findings []takeover.Finding
	for _, g := range []struct {
		column string
		rows   int
	}{
		{"orders.created_at", r.Left.Moments},
		{"order_detail.unit_price", r.Left.Prices},
		{"orders.total_price", r.Left.Totals},
	} {
		if g.rows > 0 {
			findings = append(findings, takeover.Finding{
				Level: takeover.Stop, Check: "history", Object: g.column, Rows: int64(g.rows),
				Found: "it is empty, or no longer right, and can be filled", Remedy: "migrate backfill --yes",
			})
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(r.Unfillable)) {
		if reason == noMenuPrice {
			continue // such a line stays without a price
		}
		findings = append(findings, takeover.Finding{
			Level: takeover.Stop, Check: "history", Object: "orders.created_at", Rows: int64(r.Unfillable[reason]),
			Found: "it is empty, and cannot be filled: " + reason,
			Remedy: "give these orders a moment: UPDATE orders SET created_at = '…' WHERE order_id = '…'; " +
				"they are those WHERE created_at IS NULL",
		})
	}
	return findings, nil
}

// ApplyContract takes all rights on the tables from the old system's role, and applies the
// migrations of sql/contract, for which there is no way back. CheckContract must have
// found nothing to stop it. What is interrupted, another run continues. Each done is
// called after every migration applied.
func ApplyContract(ctx context.Context, dsn string, o ContractOptions, done ...func(Step)) error {
	return withOwners(ctx, dsn, []Owner{Contract}, func(providers []provider, _ *sql.DB) error {
		contract := providers[0]
		if err := retire(ctx, dsn, o.OldRole, func() error {
			_, err := contract.GetDBVersion(ctx) // makes the version table: from now on, Down refuses
			return err
		}); err != nil {
			return explain(err)
		}
		return explain(contract.up(ctx, done))
	})
}

// retire takes the old system's rights, unless it has come back since the check. It calls
// begin at the end of its transaction.
func retire(ctx context.Context, dsn, role string, begin func() error) (err error) {
	conn, err := connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", grantsLock); err != nil { // as grant does
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT format('REVOKE ALL ON %s FROM %I CASCADE', oid::regclass, $1::text) FROM pg_class
			WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
				AND relowner = 'pizza_owner'::regrole ORDER BY relname`, role)
		if err != nil {
			return err
		}
		statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, s := range statements {
			if _, err := tx.Exec(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		var sessions int
		err = tx.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND datname = current_database()",
			role).Scan(&sessions)
		switch {
		case err != nil:
			return err
		case sessions > 0:
			return fmt.Errorf("%s has %d sessions again, so nothing was changed; stop the old system", role, sessions)
		}
		return begin()
	})
}
