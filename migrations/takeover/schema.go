package takeover

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// relation is a relation that has the name of one of the tables.
type relation struct {
	Schema, Name, Owner, Kind string
	Rows, Bytes               int64
	Readable, Policies, Heirs bool
}

func (p *preflight) schema() {
	found := query[relation](p, `
		SELECT nspname, relname, pg_get_userbyid(relowner), relkind::text, greatest(reltuples, 0)::bigint,
			8192 * (relpages + (SELECT coalesce(sum(i.relpages), 0) FROM pg_index JOIN pg_class i ON i.oid = indexrelid WHERE indrelid = c.oid)),
			has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'), relrowsecurity, relhassubclass
		FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
		WHERE relname = ANY($1) AND relkind NOT IN ('i', 'I', 't') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
		ORDER BY array_position($1, relname::text), nspname`, names())
	for _, r := range found {
		if r.Schema != "public" {
			p.add(Finding{
				Level: Warn, Check: "schema", Object: r.Schema + "." + r.Name,
				Found:  "a table of this name is outside of the schema public, which is the only one that the services read",
				Remedy: fmt.Sprintf("if it is the old system's, point preflight at its database, or ALTER TABLE %s SET SCHEMA public", ident(r.Schema, r.Name)),
			})
			continue
		}
		p.report.Tables = append(p.report.Tables, Table{r.Name, r.Owner, r.Rows, r.Bytes})
		p.relation(r)
	}
	if p.report.Empty() || p.err != nil {
		return
	}
	for _, t := range tables() {
		if !slices.ContainsFunc(p.report.Tables, func(f Table) bool { return f.Name == t.name }) {
			p.missing[t.name] = true
			p.add(Finding{
				Level: Warn, Check: "table-missing", Object: t.name,
				Found:  "the old system's other tables are here, and this one is not; the migrations create it without rows",
				Remedy: "make sure that this is the old system's database",
			})
		}
	}
	if !p.contracted {
		p.columns()
	}
	p.keys()
	p.foreignKeys()
	p.triggers()
	p.constraints()
	if !p.begun {
		p.views()
		p.takenNames()
	} else {
		found := "the migrations have begun here; `migrate status` lists them"
		if p.contracted {
			found = "the contract has been here: nothing is left to take over"
		}
		p.add(Finding{Level: Note, Check: "adopted", Object: "database", Found: found})
	}
	p.otherTables()
}

func (p *preflight) relation(r relation) {
	f := Finding{Level: Stop, Object: r.Name}
	switch {
	case r.Kind != "r":
		f.Check, f.Found = "table-kind", "it is no ordinary table: "+map[string]string{
			"v": "a view", "m": "a materialized view", "f": "a foreign table", "p": "a partitioned table", "S": "a sequence", "c": "a type",
		}[r.Kind]
		f.Remedy = "replace it by a table that holds the rows"
		p.missing[r.Name] = true
	case !r.Readable && !p.schemaOnly:
		f.Check, f.Found = "permission", "this role cannot read it, so its rows were not examined"
		f.Remedy = fmt.Sprintf("run preflight as %s, or as a superuser", r.Owner)
		p.missing[r.Name] = true
	case r.Heirs:
		f.Check, f.Found = "inheritance", "other tables inherit from it; the services would see their rows, and keys do not cover them"
		f.Remedy = "move the rows into it, and detach the others with NO INHERIT"
	case r.Policies && !p.begun:
		f.Check, f.Found = "row-security", "row-level security is enabled; the migrations add policies of their own"
		f.Remedy = fmt.Sprintf("ALTER TABLE %s DISABLE ROW LEVEL SECURITY", ident(r.Name))
	default:
		return
	}
	p.add(f)
}

func (p *preflight) keys() {
	has := map[string]bool{}
	var table string
	p.read(`SELECT relname FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid
			JOIN pg_attribute a ON attrelid = conrelid AND conkey = ARRAY[attnum]
		WHERE contype = 'p' AND relnamespace = 'public'::regnamespace
			AND (relname, attname) IN (SELECT * FROM unnest($1::text[], $2::text[]))`,
		[]any{names(), keyColumns()}, []any{&table}, func() error { has[table] = true; return nil })
	for _, t := range tables() {
		if has[t.name] || p.missing[t.name] || p.missing[t.name+"."+t.key] || p.err != nil {
			continue
		}
		index := ident(t.name + "_new_pkey")
		p.add(Finding{
			Level: Stop, Check: "key-missing", Object: t.name,
			Found: fmt.Sprintf("%s is not the primary key", t.key),
			Remedy: fmt.Sprintf("CREATE UNIQUE INDEX CONCURRENTLY %s ON %s (%s); ALTER TABLE %[2]s ADD PRIMARY KEY USING INDEX %[1]s",
				index, ident(t.name), ident(t.key)),
		})
	}
}

func keyColumns() []string {
	var list []string
	for _, t := range tables() {
		list = append(list, t.key)
	}
	return list
}

// foreignKey is one that begins or ends at the tables.
type foreignKey struct {
	Name, From, To, Column string
	Cascades               bool
}

func (p *preflight) foreignKeys() {
	keys := query[foreignKey](p, `
		SELECT conname, f.relname, t.relname, attname, confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd')
		FROM pg_constraint k JOIN pg_class f ON f.oid = conrelid JOIN pg_class t ON t.oid = confrelid
			JOIN pg_attribute a ON attrelid = conrelid AND attnum = conkey[1]
		WHERE contype = 'f' AND conparentid = 0 AND (t.relnamespace = 'public'::regnamespace AND t.relname = ANY($1) OR f.relnamespace = 'public'::regnamespace AND f.relname = ANY($1))
		ORDER BY f.relname, conname`, names())
	for _, k := range keys {
		f := Finding{Object: k.From + "." + k.Column, Check: "foreign-key"}
		drop := fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s", ident(k.From), ident(k.Name))
		known := slices.Contains(references(), reference{k.From, k.Column, k.To})
		switch {
		case k.From == "orders" && k.To == "member":
			f.Level = Stop
			f.Found = "orders refer to members: an order outlives its member, and `migrate forget-member` could not keep it"
			if k.Cascades {
				f.Found = "deleting a member deletes or changes its orders: an order outlives its member"
			}
			f.Remedy = drop
		case known && k.Cascades:
			f.Level = Stop
			f.Found = fmt.Sprintf("deleting or changing a row of %s deletes or changes rows of %s: past orders would change with the menu", k.To, k.From)
			f.Remedy = fmt.Sprintf("ALTER TABLE %s ADD FOREIGN KEY (%s) REFERENCES %s NOT VALID; %s; then VALIDATE the new one",
				ident(k.From), ident(k.Column), ident(k.To), drop)
		case known:
			continue
		case slices.Contains(names(), k.From):
			f.Level, f.Found = Warn, fmt.Sprintf("it refers to %s, which the design document does not have; inserts that break it fail", k.To)
			f.Remedy = drop
		default:
			f.Level = Note
			f.Found = fmt.Sprintf("it refers to %s: rows that it names cannot be deleted by the services", k.To)
			if k.Cascades {
				f.Found = fmt.Sprintf("it refers to %s: its rows are deleted or changed with those", k.To)
			}
		}
		p.add(f)
	}
	for _, r := range references() {
		if p.missing[r.table] || p.missing[r.target] || p.missing[r.table+"."+r.column] || p.err != nil ||
			slices.ContainsFunc(keys, func(k foreignKey) bool { return k.From == r.table && k.Column == r.column && k.To == r.target }) {
			continue
		}
		p.add(Finding{
			Level: Warn, Check: "foreign-key-missing", Object: r.table + "." + r.column,
			Found: fmt.Sprintf("nothing holds that the row of %s exists: an order for an unknown one would be accepted", r.target),
			Remedy: fmt.Sprintf("ALTER TABLE %s ADD FOREIGN KEY (%s) REFERENCES %s NOT VALID; VALIDATE it once no row breaks it",
				ident(r.table), ident(r.column), ident(r.target)),
		})
	}
}

// triggers reports the old system's own triggers and rules.
func (p *preflight) triggers() {
	var table, name string
	p.read(`SELECT relname, tgname FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
			JOIN pg_proc f ON f.oid = tgfoid
		WHERE NOT tgisinternal AND relnamespace = 'public'::regnamespace AND relname = ANY($1)
			AND pg_get_userbyid(proowner) <> 'pizza_owner'
		UNION ALL
		SELECT relname, rulename FROM pg_rewrite r JOIN pg_class c ON c.oid = ev_class
		WHERE relnamespace = 'public'::regnamespace AND relname = ANY($1) AND relkind = 'r'
		ORDER BY 1, 2`, []any{names()}, []any{&table, &name}, func() error {
		p.add(Finding{
			Level: Warn, Check: "trigger", Object: table,
			Found:  fmt.Sprintf("the trigger or rule %q also runs for what the services write, with their rights", name),
			Remedy: "check that it works for a role that can use these tables only, or make its function SECURITY DEFINER",
		})
		return nil
	})
}

// constraints reports rules that the services do not know.
func (p *preflight) constraints() {
	var table, definition string
	p.read(`SELECT relname, pg_get_constraintdef(k.oid) FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid
		WHERE contype IN ('u', 'c', 'x') AND relnamespace = 'public'::regnamespace AND relname = ANY($1)
			AND conname NOT IN ('order_detail_unit_price_check', 'orders_total_price_check')
		ORDER BY 1, 2`, []any{names()}, []any{&table, &definition}, func() error {
		p.add(Finding{
			Level: Warn, Check: "constraint", Object: table,
			Found:  fmt.Sprintf("the services do not know the rule %s; what breaks it is answered by 500", definition),
			Remedy: "drop it, or check that no request can break it",
		})
		return nil
	})
}

// views reports what keeps a migration from widening orders.member_id.
func (p *preflight) views() {
	var view string
	p.read(`SELECT DISTINCT v.oid::regclass::text FROM pg_attribute a
			JOIN pg_depend d ON refobjid = attrelid AND refobjsubid = attnum AND classid = 'pg_rewrite'::regclass
			JOIN pg_rewrite r ON r.oid = objid JOIN pg_class v ON v.oid = ev_class
		WHERE attrelid = to_regclass('public.orders') AND attname = 'member_id' AND v.oid <> attrelid
			AND atttypid = 'varchar'::regtype AND atttypmod BETWEEN 4 AND 103
		ORDER BY 1`, nil, []any{&view}, func() error {
		p.add(Finding{
			Level: Stop, Check: "view", Object: "orders.member_id",
			Found:  fmt.Sprintf("the view %s uses the column, which a migration widens", view),
			Remedy: fmt.Sprintf("drop %s, widen the column as the migration does, and create it again", view),
		})
		return nil
	})
}

// takenNames reports names that the migrations are about to use.
func (p *preflight) takenNames() {
	var name, kind string
	p.read(`SELECT relname, 'relation' FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relname = ANY($1)
			AND relkind <> 'i' -- which a migration builds again
			AND NOT EXISTS (SELECT FROM pg_depend -- a sequence that the column owns is replaced
				WHERE objid = c.oid AND relkind = 'S' AND deptype IN ('a', 'i') AND refobjid = to_regclass('public.order_detail'))
		UNION ALL
		SELECT proname, 'function' FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname = ANY($2)
		ORDER BY 1`, []any{newRelations(), newFunctions()}, []any{&name, &kind}, func() error {
		p.add(Finding{
			Level: Stop, Check: "name-taken", Object: name, Found: "a migration creates a " + kind + " of this name",
			Remedy: "rename the one that is there",
		})
		return nil
	})
}

func (p *preflight) otherTables() {
	var tables []string
	p.read(`SELECT coalesce(array_agg(relname::text ORDER BY relname), '{}') FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND pg_get_userbyid(relowner) <> 'pizza_owner'
			AND relname <> ALL($1)`, []any{names()}, []any{&tables}, func() error { return nil })
	if len(tables) > 0 {
		p.add(Finding{
			Level: Note, Check: "table-other", Object: "database",
			Found: "left alone, with their owners and rights: " + strings.Join(tables, ", "),
		})
	}
}

// query collects the rows of a query into structs, by position.
func query[T any](p *preflight, sql string, args ...any) []T {
	if p.err != nil {
		return nil
	}
	rows, err := p.conn.Query(p.ctx, sql, args...)
	if err != nil {
		p.err = err
		return nil
	}
	var list []T
	list, p.err = pgx.CollectRows(rows, pgx.RowToStructByPos[T])
	return list
}

func ident(parts ...string) string {
	quoted := make([]string, len(parts))
	for i, part := range parts {
		quoted[i] = part
		if strings.ContainsFunc(part, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' }) {
			quoted[i] = pgx.Identifier{part}.Sanitize()
		}
	}
	return strings.Join(quoted, ".")
}
