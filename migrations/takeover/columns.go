package takeover

import (
	"fmt"
	"slices"
	"strings"
)

// attribute is a column as it was found.
type attribute struct {
	Table, Name, Type, Shown     string
	Length                       int // of a varchar; -1 for no bound
	NotNull, HasDefault, Numbers bool
	Sequence                     *string // that the column owns
}

func (p *preflight) columns() {
	found := map[string]attribute{}
	var others []attribute
	for _, a := range query[attribute](p, `
		SELECT relname, attname, typname, format_type(atttypid, atttypmod), CASE WHEN atttypmod >= 4 THEN atttypmod - 4 ELSE -1 END,
			attnotnull, atthasdef AND attgenerated = '', attidentity <> '', pg_get_serial_sequence(format('public.%I', relname), attname)
		FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_type t ON t.oid = atttypid
		WHERE relnamespace = 'public'::regnamespace AND relname = ANY($1) AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
		ORDER BY relname, attnum`, names()) {
		found[a.Table+"."+a.Name] = a
		others = append(others, a)
	}
	for _, t := range tables() {
		if p.missing[t.name] {
			continue
		}
		for _, c := range t.columns {
			object := t.name + "." + c.name
			a, ok := found[object]
			if !ok {
				p.missing[object] = true
				p.add(Finding{
					Level: Stop, Check: "column-missing", Object: object, Found: "the column is missing",
					Remedy: "the services need it; add it, or rename the column that takes its place",
				})
				continue
			}
			others = slices.DeleteFunc(others, func(o attribute) bool { return o.Table == t.name && o.Name == c.name })
			p.column(t, c, a)
		}
		for _, name := range t.added {
			if _, taken := found[t.name+"."+name]; taken && !p.begun {
				p.add(Finding{
					Level: Stop, Check: "column-taken", Object: t.name + "." + name, Found: "a migration adds a column of this name",
					Remedy: fmt.Sprintf("rename it: ALTER TABLE %s RENAME COLUMN %s TO %s", ident(t.name), ident(name), ident("old_"+name)),
				})
			}
		}
	}
	p.orderIDs(found["orders.order_id"], found["order_detail.order_id"])
	if !p.begun {
		p.lineNumbers(found["order_detail.order_detail_id"])
		p.otherColumns(others)
	}
}

// column compares one column.
func (p *preflight) column(t table, c column, a attribute) {
	object := t.name + "." + c.name
	if !slices.Contains(c.family.types(), a.Type) {
		p.missing[object] = true // its rows cannot be examined by the checks for its family
		p.add(Finding{
			Level: Stop, Check: "column-type", Object: object,
			Found:  fmt.Sprintf("the type is %s; the services read and write %s", a.Shown, c.family),
			Remedy: "change the type in a window of the old system; the server rewrites the table meanwhile",
		})
		return
	}
	least := c.length
	if c.short > 0 {
		least = c.short
	}
	if a.Type == "varchar" && a.Length > 0 && a.Length < least {
		p.add(Finding{
			Level: Stop, Check: "column-length", Object: object,
			Found: fmt.Sprintf("the type is %s; the services write up to %d characters", a.Shown, c.length),
			Remedy: fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s TYPE varchar(%d); no row is rewritten, but no view may use the column",
				ident(t.name), ident(c.name), c.length),
		})
	}
	switch a.Type {
	case "float4":
		p.add(Finding{
			Level: Note, Check: "column-type", Object: object,
			Found: "real keeps seven digits: prices are exact to the cent below 100,000",
		})
	case "numeric":
		p.add(Finding{Level: Note, Check: "column-type", Object: object, Found: "numeric: prices are exact"})
	}
}

// orderIDs compares the two columns that hold ids of orders.
func (p *preflight) orderIDs(order, line attribute) {
	isNumber := func(a attribute) bool { return strings.HasPrefix(a.Type, "int") }
	if p.missing["orders"] || p.missing["orders.order_id"] || !isNumber(order) {
		return
	}
	if !p.missing["order_detail"] && !p.missing["order_detail.order_id"] && order.Type != line.Type {
		p.add(Finding{
			Level: Stop, Check: "column-type", Object: "order_detail.order_id",
			Found:  fmt.Sprintf("the type is %s, and that of orders.order_id is %s", line.Shown, order.Shown),
			Remedy: "give both columns the same type in a window of the old system",
		})
		p.missing["order_detail.order_id"] = true
		return
	}
	p.add(Finding{
		Level: Note, Check: "integer-order-id", Object: "orders.order_id",
		Found: fmt.Sprintf("the type is %s: the services number their orders below zero, where MAX + 1 of the old system never looks", order.Shown),
	})
}

// lineNumbers says what becomes of a column that numbers its rows already.
func (p *preflight) lineNumbers(a attribute) {
	switch {
	case a.Numbers, a.HasDefault && a.Sequence != nil:
		p.add(Finding{
			Level: Note, Check: "line-numbers", Object: "order_detail.order_detail_id",
			Found: "the column has a sequence; the migrations put an identity in its place, which goes on from the greatest number",
		})
	case a.HasDefault:
		p.add(Finding{
			Level: Stop, Check: "line-numbers", Object: "order_detail.order_detail_id",
			Found:  "the column has a default that is no sequence of its own; the migrations make it an identity",
			Remedy: "ALTER SEQUENCE … OWNED BY order_detail.order_detail_id; or drop the default",
		})
	}
}

// otherColumns reports columns that the design document does not have.
func (p *preflight) otherColumns(others []attribute) {
	for _, a := range others {
		if p.missing[a.Table] {
			continue
		}
		f := Finding{Level: Note, Check: "column-other", Object: a.Table + "." + a.Name, Found: "not in the design document; the services ignore it"}
		if a.NotNull && !a.HasDefault && !a.Numbers {
			f.Level, f.Found = Stop, "NOT NULL without a default: the services do not know the column, and could not insert a row"
			f.Remedy = fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s SET DEFAULT …; or DROP NOT NULL", ident(a.Table), ident(a.Name))
		}
		p.add(f)
	}
}
