package takeover

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"example.com/pizza/pkg/password"
)

// rowCheck counts rows that deserve a look.
type rowCheck struct {
	level        Level
	check, table string
	columns      []string // of the table, or "table.column" of others; without them the check is left out
	where        string   // of the rows that are counted; the table is t
	found        string
	remedy       string
}

// rowChecks returns the checks of rows. Each reads its table once.
func rowChecks() []rowCheck {
	list := []rowCheck{
		{
			Stop, "duplicate-key", "order_detail", []string{"order_detail_id"},
			`order_detail_id IN (SELECT order_detail_id FROM order_detail GROUP BY 1 HAVING count(*) > 1)`,
			"the number of the line is not the only one of its kind", "give each line a number of its own",
		},
		{
			Warn, "orphan", "order_detail", []string{"order_id", "orders.order_id"},
			`NOT EXISTS (SELECT FROM orders o WHERE o.order_id = t.order_id)`,
			"no such order: nobody is shown these lines", "DELETE them, after a look",
		},
		{
			Warn, "orphan", "order_detail", []string{"pizza_id", "pizza.pizza_id"},
			`pizza_id IS NOT NULL AND NOT EXISTS (SELECT FROM pizza p WHERE p.pizza_id = t.pizza_id)`,
			"no such pizza: the lines are shown, and have no price", "",
		},
		{
			Warn, "orphan", "orders", []string{"member_id", "member.member_id"},
			`member_id IS NOT NULL AND NOT EXISTS (SELECT FROM member m WHERE m.member_id = t.member_id)`,
			"no such member: nobody is shown these orders, and the ids stay taken", "",
		},
		{
			Warn, "orphan", "orders", []string{"bran_id", "branch.bran_id"},
			`bran_id IS NOT NULL AND NOT EXISTS (SELECT FROM branch b WHERE b.bran_id = t.bran_id)`,
			"no such branch", "add the branch",
		},
		{
			Warn, "orphan", "pizza", []string{"pizza_type_id", "pizza_types.pizza_type_id"},
			`pizza_type_id IS NOT NULL AND NOT EXISTS (SELECT FROM pizza_types p WHERE p.pizza_type_id = t.pizza_type_id)`,
			"no such type: the pizza is not on the menu", "give it a type, or delete it",
		},
		{
			Warn, "duplicate-name", "pizza_types", []string{"pizza_nm"},
			`pizza_nm IN (SELECT pizza_nm FROM pizza_types GROUP BY 1 HAVING count(*) > 1)`,
			"the name is that of another type too: a pizza that is ordered by name is the first by id", "give each type a name of its own",
		},
		{
			Warn, "duplicate-size", "pizza", []string{"pizza_type_id", "size"},
			`(pizza_type_id, size) IN (SELECT pizza_type_id, size FROM pizza GROUP BY 1, 2 HAVING count(*) > 1)`,
			"the type has this size twice: a pizza that is ordered by name and size is the first by id", "delete one of them",
		},
		{
			Warn, "price", "pizza", []string{"price"},
			`NOT (price >= 0 AND price <= 99999999.99)`,
			"no price (negative, NaN, infinite or too large): the pizza is not on the menu", "UPDATE pizza SET price = …",
		},
		{
			Note, "price-rounded", "pizza", []string{"price"},
			`CASE WHEN price >= 0 AND price <= 99999999.99 THEN price::numeric <> round(price::numeric, 2) END`,
			"the price has more than two decimals: it is rounded to cents", "",
		},
		{
			Note, "no-lines", "orders", []string{"order_id", "order_detail.order_id"},
			`NOT EXISTS (SELECT FROM order_detail d WHERE d.order_id = t.order_id)`,
			"the order has no lines: it is listed without", "",
		},
		{
			Warn, "quantity", "order_detail", []string{"quantity"},
			`quantity < 1`, "less than one pizza: shown as it is, and reports count it", "",
		},
		{
			Warn, "id-empty", "member", []string{"member_id"},
			`member_id !~ '\S'`, "nobody can log in with an empty id", "",
		},
		{
			Note, "local-time", "orders", []string{"date", "time"},
			`NOT (date ~ '^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$' AND time ~ '^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?$')`,
			"the moment is not written as YYYY-MM-DD and HH:MM:SS: it is shown as it is, and sorted as text",
			"`migrate backfill` says which of them it can read",
		},
	}
	for _, t := range tables() {
		for _, c := range t.columns {
			if c.name != t.key {
				level := Warn
				if slices.ContainsFunc(references(), func(r reference) bool { return r.table == t.name && r.column == c.name }) {
					level = Note // the design document allows it
				}
				remedy := ""
				if t.name == "orders" && (c.name == "date" || c.name == "time") {
					level, remedy = Stop, fmt.Sprintf("UPDATE orders SET %s = '' WHERE %[1]s IS NULL", c.name)
				}
				list = append(list, rowCheck{
					level, "null", t.name, []string{c.name}, c.name + " IS NULL", nullMeans(t.name, c.name), remedy,
				})
			}
			if strings.HasSuffix(c.name, "_id") && c.length > 0 {
				list = append(list, rowCheck{
					Stop, "id-too-long", t.name, []string{c.name},
					fmt.Sprintf("length(%s::text) > %d", c.name, c.length),
					fmt.Sprintf("the id is longer than %d characters: the services store it in tables of their own, where it does not fit", c.length),
					"give the row a shorter id",
				})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b rowCheck) int { return slices.Index(names(), a.table) - slices.Index(names(), b.table) })
	return list
}

// nullMeans says what the services make of a missing value. The design document has
// some columns without NOT NULL; in others the old system's table may differ.
func nullMeans(table, column string) string {
	switch table + "." + column {
	case "pizza.pizza_type_id":
		return "a pizza without a type is not on the menu"
	case "pizza.size", "pizza.price":
		return column + " is missing: the pizza is not on the menu"
	case "pizza_types.pizza_nm", "pizza_types.pizza_categ", "pizza_types.pizza_img_url", "member.member_nm", "branch.bran_nm":
		return column + " is missing: it is served as an empty text"
	case "member.member_pwd":
		return "the member has no password, and cannot log in"
	case "orders.member_id":
		return "an order of no member: nobody is shown it"
	case "order_detail.order_id":
		return "a line of no order: nobody is shown it"
	case "order_detail.quantity":
		return "quantity is missing: it is served as 0"
	case "orders.date", "orders.time":
		return column + " is missing: the order, and older ones, would be left out of later pages"
	default:
		return column + " is missing: it is served as null"
	}
}

// needs lists the columns of a check as "table.column".
func (c rowCheck) needs() []string {
	list := []string{c.table}
	for _, column := range c.columns {
		if !strings.Contains(column, ".") {
			column = c.table + "." + column
		}
		table, _, _ := strings.Cut(column, ".")
		list = append(list, table, column)
	}
	return list
}

// rows runs a check. One that takes too long is reported as not done.
func (p *preflight) rows(c rowCheck) {
	for _, object := range c.needs() {
		if p.missing[object] {
			return
		}
	}
	object := c.table
	if column := c.columns[0]; !strings.Contains(column, ".") {
		object += "." + column
	}
	var n int64
	if !p.count(object, "SELECT count(*) FROM "+ident(c.table)+" t WHERE "+c.where, &n) || n == 0 {
		return
	}
	p.add(Finding{Level: c.level, Check: c.check, Object: object, Found: c.found, Rows: n, Remedy: c.remedy})
}

// count runs a query of one number, and reports whether it got it.
func (p *preflight) count(object, sql string, n *int64) bool {
	if p.err != nil {
		return false
	}
	p.err = p.conn.QueryRow(p.ctx, sql).Scan(n)
	return p.examined(object)
}

// examined reports whether the last statement has worked. One that took too long is a
// finding, and no error.
func (p *preflight) examined(object string) bool {
	var pg *pgconn.PgError
	if errors.As(p.err, &pg) && (pg.Code == "57014" || pg.Code == "55P03") { // query_canceled, lock_not_available
		p.err = nil
		p.add(Finding{
			Level: Warn, Check: "not-examined", Object: object,
			Found:  "reading was given up: " + pg.Message,
			Remedy: "run preflight again, or on a restored backup as well",
		})
		return false
	}
	return p.err == nil
}

// passwords counts the formats of stored passwords.
func (p *preflight) passwords() {
	const object = "member.member_pwd"
	if p.missing["member"] || p.missing[object] {
		return
	}
	kinds, digests := map[password.Kind]int64{}, int64(0)
	var stored string
	p.read("SELECT member_pwd FROM member WHERE member_pwd IS NOT NULL", nil, []any{&stored}, func() error {
		kind := password.KindOf(stored, password.Recommended())
		kinds[kind]++
		if kind == password.ClearText && digest.MatchString(stored) {
			digests++
		}
		return nil
	})
	if !p.examined(object) {
		return
	}
	for _, kind := range password.Kinds() {
		f := Finding{Check: "password-" + string(kind), Object: object, Rows: kinds[kind]}
		f.Level, f.Found, f.Remedy = passwordMeans(kind)
		if f.Rows > 0 && f.Found != "" {
			p.add(f)
		}
	}
	if digests > 0 {
		p.add(Finding{
			Level: Warn, Check: "password-digest", Object: object, Rows: digests,
			Found:  "a digest without a name of its format: to the services it is clear text, so the digest itself is the password",
			Remedy: "reset these passwords",
		})
	}
}

// digest matches MD5, SHA-1, SHA-256 and SHA-512 in hexadecimal digits.
var digest = regexp.MustCompile(`^([0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{128})$`)

func passwordMeans(kind password.Kind) (level Level, found, remedy string) {
	switch kind {
	case password.ClearText:
		return Warn, "passwords in clear text: they work, and each login replaces its own unless PASSWORD_UPGRADE=off",
			"`migrate passwords`, once the old system logs nobody in any more"
	case password.Django:
		return Note, "hashes of Django: they work, and each login replaces its own unless PASSWORD_UPGRADE=off", ""
	case password.Unreadable:
		return Warn, "hashes of a format or cost that the services do not verify: these members cannot log in", "reset these passwords"
	case password.None:
		return Warn, "no password: these members cannot log in", "reset these passwords"
	default:
		return Note, "", ""
	}
}

// numbers reports a numeric key that approaches the end of its type: the services
// draw line numbers from the same type, and order numbers as far below zero.
func (p *preflight) numbers(table, column, noun string) {
	const (
		enough = 1_000_000 // left, for the time of the take-over
		half   = math.MaxInt32 / 2
	)
	if p.missing[table] || p.missing[table+"."+column] {
		return
	}
	var isInt bool
	p.read("SELECT atttypid = 'int4'::regtype FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = $2",
		[]any{"public." + table, column}, []any{&isInt}, func() error { return nil })
	if !isInt {
		return
	}
	var most int64
	if !p.count(table+"."+column, "SELECT coalesce(max("+column+"), 0) FROM "+table, &most) || most < half {
		return
	}
	f := Finding{
		Level: Warn, Check: "numbers-run-out", Object: table + "." + column,
		Found: fmt.Sprintf("the greatest number of a %s is %d, of at most %d", noun, most, math.MaxInt32),
	}
	if most > math.MaxInt32-enough {
		f.Level = Stop
		f.Remedy = fmt.Sprintf("number the oldest rows anew, or change the type of %s to bigint in a window of the old system", column)
	}
	p.add(f)
}
