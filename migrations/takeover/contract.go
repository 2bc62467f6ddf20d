package takeover

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// ContractOptions of CheckContract.
type ContractOptions struct {
	OldRole string // of the old system
	Parity  string // a report of parity, as a file
	Zone    string // of the shop, by its IANA name
	// Begun says that an earlier run has taken the old system's rights already, so that
	// parity cannot be measured any more.
	Begun bool
	// Findings are those of the migrations and of the history.
	Findings []Finding
	// Locks are those of the migrations to come; see ContractLocks.
	Locks    []Lock
	Progress func(part string)
}

// Condition is one of the conditions of the contract.
type Condition struct {
	Name  string `json:"condition"` // the Check of its findings
	Go    bool   `json:"go"`
	Means string `json:"means"`
}

// Conditions returns the conditions of a report of CheckContract, with its verdicts.
func (r Report) Conditions() []Condition {
	list := []Condition{
		{"migrations", true, "`migrate up` has nothing left to apply"},
		{"parity", true, "the services have answered as the old system, within a day"},
		{"old-role", true, "the old system has a role of its own"},
		{"sessions", true, "the old system's role has no connection"},
		{"history", true, "`migrate backfill` has nothing left to fill"},
		{"null", true, "columns that become NOT NULL have values"},
		{"date", true, "dates and times are written as 2015-01-31 and 11:38:36"},
		{"price", true, "prices of the menu are money"},
		{"dependent", true, "nothing else depends on the types of these columns"},
	}
	for i, c := range list {
		list[i].Go = !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Check == c.Name && f.Level == Stop })
	}
	return list
}

// CheckContract examines whether the contract can be applied, and changes nothing.
// conn acts as the owner of the tables.
func CheckContract(ctx context.Context, conn *pgx.Conn, o ContractOptions) (r Report, err error) {
	p := &preflight{ctx: ctx, conn: conn, missing: map[string]bool{}}
	p.report.Findings = slices.Clone(o.Findings)
	if _, err := conn.Exec(ctx, "SET default_transaction_read_only = on"); err != nil {
		return Report{}, err
	}
	defer func() {
		_, resetting := conn.Exec(context.WithoutCancel(ctx), "RESET default_transaction_read_only")
		err = errors.Join(err, resetting)
	}()
	p.server()
	p.parity(o)
	p.tables()
	for _, t := range tables() {
		o.Progress("the rows of " + t.name)
		for _, c := range t.columns {
			p.null(t, c)
		}
	}
	for _, f := range forms() {
		p.written(f, o.Zone)
	}
	const noPrice = "NOT (price >= 0 AND price <= 99999999.99)"
	p.rows(rowCheck{
		Stop, "price", "pizza", []string{"price"}, noPrice,
		"no price (negative, NaN, infinite or too large)", withoutPrice + noPrice,
	})
	p.dependents()
	for _, l := range o.Locks {
		p.report.Plan = append(p.report.Plan, p.estimate(l))
	}
	o.Progress("the old system's role") // last, since its sessions come and go
	p.oldRole(o.OldRole)
	p.sort()
	return p.report, p.err
}

// tables reads the sizes of the tables.
func (p *preflight) tables() {
	p.report.Tables = query[Table](p, `
		SELECT relname, pg_get_userbyid(relowner), greatest(reltuples, 0)::bigint, pg_total_relation_size(oid)
		FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relname = ANY($1)
		ORDER BY array_position($1, relname::text)`, names())
	for _, name := range names() {
		p.missing[name] = !slices.ContainsFunc(p.report.Tables, func(t Table) bool { return t.Name == name })
	}
}

// withoutPrice takes a pizza off the menu, where the services do not show it either.
const withoutPrice = "UPDATE pizza SET price = … ; or take it off the menu: " +
	"UPDATE pizza SET pizza_type_id = NULL, price = 0 WHERE "

// null looks for missing values of a column that has NOT NULL in the design document.
func (p *preflight) null(t table, c column) {
	refers := func(r reference) bool { return r.table == t.name && r.column == c.name }
	written := func(f form) bool { return t.name == "orders" && c.name == f.column }
	if c.name == t.key || slices.ContainsFunc(references(), refers) || slices.ContainsFunc(forms(), written) {
		return
	}
	remedy := fmt.Sprintf("UPDATE %s SET %s = '' WHERE %[2]s IS NULL", t.name, c.name)
	switch t.name + "." + c.name {
	case "pizza.price":
		remedy = withoutPrice + "price IS NULL"
	case "pizza.size":
		remedy = "UPDATE pizza SET pizza_type_id = NULL, size = '' WHERE size IS NULL" // not on the menu, as before
	case "order_detail.quantity":
		remedy = "UPDATE order_detail SET quantity = 0 WHERE quantity IS NULL"
	}
	p.rows(rowCheck{Stop, "null", t.name, []string{c.name}, c.name + " IS NULL", nullMeans(t.name, c.name), remedy})
}

// form is how a text of the old system has to be written, so that its column can change
// to a type that is shown in the same way.
type form struct {
	column, example string
	pattern         *regexp.Regexp // to the server too
	layout          string         // of package time
	ofMoment        string         // created_at in the time zone %s
}

// forms returns those of orders.date and orders.time. A time ends in no zero of a second's
// fraction, which its type would not show.
func forms() []form {
	return []form{
		{
			"date", "2015-01-31", regexp.MustCompile(`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`),
			time.DateOnly, "to_char(created_at AT TIME ZONE %s, 'YYYY-MM-DD')",
		},
		{
			"time", "11:38:36", regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{0,5}[1-9])?$`),
			time.TimeOnly, "(created_at AT TIME ZONE %s)::time::text",
		},
	}
}

// written looks for texts that are not written in a form. The remedy takes them from the
// moment of the order.
func (p *preflight) written(f form, zone string) {
	if p.missing["orders"] {
		return
	}
	const shown = 3
	var text *string
	var n, all int64
	var examples, impossible []string // 2015-02-30 matches, and is no date
	sql := "SELECT " + f.column + "::text, count(*) FROM orders GROUP BY 1 ORDER BY 1"
	p.read(sql, nil, []any{&text, &n}, func() error {
		example := "NULL"
		if text != nil {
			example = literal(*text)
			matches := f.pattern.MatchString(*text)
			_, err := time.Parse(f.layout, *text)
			if matches && err == nil && !strings.HasPrefix(*text, "0000-") {
				return nil
			}
			if matches {
				impossible = append(impossible, example)
			}
		}
		all += n
		examples = append(examples, example)
		examples = examples[:min(shown, len(examples))]
		return nil
	})
	if all == 0 || p.err != nil {
		return
	}
	where := fmt.Sprintf("%s IS NULL OR %[1]s !~ '%s'", f.column, f.pattern)
	if impossible != nil {
		where += fmt.Sprintf(" OR %s IN (%s)", f.column, strings.Join(impossible, ", "))
	}
	p.add(Finding{
		Level: Stop, Check: "date", Object: "orders." + f.column, Rows: all,
		Found: fmt.Sprintf("not written as %s: %s", f.example, strings.Join(examples, ", ")),
		Remedy: fmt.Sprintf("UPDATE orders SET %s = %s WHERE created_at IS NOT NULL AND (%s)",
			f.column, fmt.Sprintf(f.ofMoment, literal(zone)), where),
	})
}

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// dependents looks for what keeps a column from changing its type: a view, a trigger,
// a policy, a rule about dates, an index for another kind of comparison.
func (p *preflight) dependents() {
	var column, what string
	p.read(`SELECT relname || '.' || attname, pg_describe_object(d.classid, d.objid, 0)
		FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
			JOIN pg_depend d ON refclassid = 'pg_class'::regclass AND refobjid = attrelid AND refobjsubid = attnum
		WHERE relnamespace = 'public'::regnamespace
			AND (relname, attname) IN (('orders', 'date'), ('orders', 'time'), ('pizza', 'price'))
			AND CASE d.classid
				WHEN 'pg_attrdef'::regclass THEN -- the column's own default is dropped; another column may be computed
					NOT EXISTS (SELECT FROM pg_attrdef f WHERE f.oid = objid AND adrelid = attrelid AND adnum = attnum)
				WHEN 'pg_class'::regclass THEN EXISTS (
					SELECT FROM pg_index i WHERE indexrelid = objid AND (indexprs IS NOT NULL OR indpred IS NOT NULL
						OR EXISTS (SELECT FROM pg_opclass k WHERE k.oid = ANY (indclass) AND NOT opcdefault)))
				WHEN 'pg_constraint'::regclass THEN relname = 'orders'
					AND EXISTS (SELECT FROM pg_constraint k WHERE k.oid = objid AND contype = 'c')
				ELSE true END
		ORDER BY 1, 2`, nil, []any{&column, &what}, func() error {
		p.add(Finding{
			Level: Stop, Check: "dependent", Object: column,
			Found:  what + " uses the column, whose type changes",
			Remedy: "drop it, and create it again for the new type afterwards",
		})
		return nil
	})
}

// rewriteBytes is how much of a table, with its indexes, a rewrite is assumed to manage
// per second. A dedicated server is faster.
const rewriteBytes = 24 << 20

// ContractLocks returns the locks of the contract on the tables, without estimates.
func ContractLocks() []Lock {
	return []Lock{
		{Migration: "contract/00001_members", Table: "member", Mode: shareUpdateExclusive},
		{Migration: "contract/00002_branches", Table: "branch", Mode: shareUpdateExclusive},
		{Migration: "contract/00003_pizza_types", Table: "pizza_types", Mode: shareUpdateExclusive},
		{Migration: "contract/00004_prices", Table: "pizza", Mode: accessExclusive},
		{Migration: "contract/00005_lines", Table: "order_detail", Mode: shareUpdateExclusive},
		{Migration: "contract/00006_orders", Table: "orders", Mode: accessExclusive},
		{Migration: "contract/00007_statistics", Table: "orders", Mode: shareUpdateExclusive},
	}
}

// estimate says what waits for a lock, and for how long, by the size of the table.
func (p *preflight) estimate(l Lock) Lock {
	l.Waits = "nothing, but for an instant"
	for _, t := range p.report.Tables {
		if t.Name == l.Table && l.Mode == accessExclusive {
			took := time.Duration(t.Bytes) * time.Second / rewriteBytes
			l.Waits = fmt.Sprintf("all, for about %s", max(time.Second, took.Round(time.Second)))
		}
	}
	return l
}
