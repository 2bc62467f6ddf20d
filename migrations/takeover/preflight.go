// Package takeover examines the live database of the old system before the
// migrations change it.
//
// The old system is the Django monolith of the design document. Its database goes
// on in place, while it keeps writing. Variants of the document's tables are in use;
// Preflight tells which of them the migrations and the services handle, which they
// refuse, and how to change those first.
package takeover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Level is how much a finding matters.
type Level string

// The levels, in the order of a report.
const (
	Stop Level = "stop" // nothing is changed until it is gone
	Warn Level = "warn" // some rows are not served as their users expect
	Note Level = "note" // handled; good to know
)

// Finding is a difference from the design document, or rows that deserve a look.
type Finding struct {
	Level Level `json:"level"`
	// Check names the rule, such as "column-type".
	Check string `json:"check"`
	// Object is what it is about, such as "orders.order_id".
	Object string `json:"object"`
	// Found says what there is, and what that means.
	Found string `json:"found"`
	// Rows is the number of rows that it is about; 0 for a finding of the schema.
	Rows int64 `json:"rows,omitempty"`
	// Remedy is a statement of SQL, or an advice; empty if there is nothing to do.
	Remedy string `json:"remedy,omitempty"`
}

// Table is a table of the old system as it was found.
type Table struct {
	Name  string `json:"name"`
	Owner string `json:"owner"`
	// Rows and Bytes are estimates of the server; Bytes includes the indexes.
	Rows  int64 `json:"rows"`
	Bytes int64 `json:"bytes"`
}

// Report is the result of Preflight.
type Report struct {
	Database string    `json:"database"`
	Server   string    `json:"server"`
	At       time.Time `json:"at"`
	Tables   []Table   `json:"tables"`
	Findings []Finding `json:"findings"`
	// Plan has the locks of the pending migrations on the tables.
	Plan []Lock `json:"plan"`
}

// Go reports whether the migrations may start: no finding is a Stop.
func (r Report) Go() bool {
	return !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Level == Stop })
}

// Empty reports whether there is no table of the old system: there is nothing to
// take over, and the migrations create all tables.
func (r Report) Empty() bool { return len(r.Tables) == 0 }

// Options of Preflight.
type Options struct {
	// Schema leaves the rows alone and examines the schema only, in milliseconds.
	Schema bool
	// Locks are those of the pending migrations.
	Locks []Lock
	// Progress is called before each part, with a few words; nil for none.
	Progress func(part string)
}

// The bounds of Preflight: it must never be what slows the old system down. A part
// that takes longer is reported, and the others go on.
const (
	lockTimeout      = "500ms"
	statementTimeout = "60s"
)

// Preflight examines a database and changes nothing: it reads in read-only
// transactions, one per statement, so that no snapshot stays open. conn must be able
// to read the tables of the old system.
func Preflight(ctx context.Context, conn *pgx.Conn, o Options) (Report, error) {
	r, _, err := examine(ctx, conn, o)
	return r, err
}

func examine(ctx context.Context, conn *pgx.Conn, o Options) (r Report, begun bool, err error) {
	p := &preflight{ctx: ctx, conn: conn, schemaOnly: o.Schema, missing: map[string]bool{}}
	if _, err := conn.Exec(ctx, "SET default_transaction_read_only = on; SET lock_timeout = '"+lockTimeout+
		"'; SET statement_timeout = '"+statementTimeout+"'"); err != nil {
		return Report{}, false, err
	}
	defer func() {
		_, resetting := conn.Exec(context.WithoutCancel(ctx), "RESET default_transaction_read_only; RESET lock_timeout; RESET statement_timeout")
		err = errors.Join(err, resetting)
	}()
	progress := func(part string) {
		if o.Progress != nil {
			o.Progress(part)
		}
	}
	progress("the server")
	p.server()
	progress("the tables")
	p.schema()
	if !p.schemaOnly && !p.contracted && !p.report.Empty() && p.err == nil {
		table := ""
		for _, c := range rowChecks() {
			if c.table != table {
				table = c.table
				progress("the rows of " + table)
			}
			p.rows(c)
		}
		progress("passwords")
		p.passwords()
		p.numbers("order_detail", "order_detail_id", "line")
		p.numbers("orders", "order_id", "order")
		progress("transactions")
		p.activity()
		progress("locks")
		p.plan(o.Locks)
	}
	p.sort()
	return p.report, p.begun, p.err
}

// sort puts what matters most first.
func (p *preflight) sort() {
	order := []Level{Stop, Warn, Note}
	slices.SortStableFunc(p.report.Findings, func(a, b Finding) int {
		return slices.Index(order, a.Level) - slices.Index(order, b.Level)
	})
}

// Check returns an error that names every Stop in the schema: the migrations would
// fail half-way, or the services could not serve the tables. It returns nil for a
// database that has none of the old system's tables, and for one on which the
// migrations have begun.
func Check(ctx context.Context, conn *pgx.Conn) error {
	r, begun, err := examine(ctx, conn, Options{Schema: true})
	if err != nil || begun || r.Go() || r.Empty() {
		return err
	}
	text := "the tables of the old system cannot be taken over as they are; nothing was changed. See `migrate preflight`:"
	for _, f := range r.Findings {
		if f.Level != Stop {
			continue
		}
		text += fmt.Sprintf("\n  %s: %s", f.Object, f.Found)
		if f.Remedy != "" {
			text += "\n    " + f.Remedy
		}
	}
	return errors.New(text)
}

// preflight is a run. Its first error ends it.
type preflight struct {
	ctx        context.Context
	conn       *pgx.Conn
	schemaOnly bool
	begun      bool // the migrations have been here
	contracted bool // so has the contract
	report     Report
	missing    map[string]bool // "table" and "table.column" that are not there, or cannot be read
	err        error
}

func (p *preflight) add(f Finding) { p.report.Findings = append(p.report.Findings, f) }

// read runs a query, and calls each for each of its rows, scanned into targets.
func (p *preflight) read(sql string, args []any, targets []any, each func() error) {
	if p.err != nil {
		return
	}
	rows, err := p.conn.Query(p.ctx, sql, args...)
	if err == nil {
		_, err = pgx.ForEachRow(rows, targets, each)
	}
	p.err = err
}
