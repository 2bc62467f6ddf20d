package migrations

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/pkg/money"
)

// The demo member, for trying things out, and a branch to order from.
const (
	DemoMember   = "demo"
	DemoPassword = "pizza-demo-2026"
	DemoBranch   = "BRANCH001"
)

const (
	demoName = "Demo Member"
	// demoHash is DemoPassword as login stores it: an Argon2id PHC string (RFC
	// 9106; m=19456 KiB, t=2, p=1). A test verifies it.
	demoHash = "$argon2id$v=19$m=19456,t=2,p=1$+RKDHWDvsUTju7gc72TECQ$XDTJPyg3dC04WnZtdXdfc7s0YlzS1IgWlf305a+10bU"
)

// Added is the number of rows that a seed added to a table.
type Added struct {
	Table string
	Rows  int64
}

// addition is a set of rows to add to a table.
type addition struct {
	table string
	// missing asks whether any of the rows is missing. A statement that
	// inserts nothing would still count as a catalog change.
	missing string
	insert  string
	columns []any // one slice per column, the key first
}

// Seed adds the menu, branches and the demo member, in one transaction.
// Existing rows stay as they are, so it can be run at any time. dsn names the
// role migrator, or a superuser. Each done is called for every table.
func Seed(ctx context.Context, dsn string, done ...func(Added)) error {
	menu, err := menuRows()
	if err != nil {
		return err
	}
	additions := slices.Concat(menu, []addition{branches(), demo()})
	var added []Added
	err = inTransaction(ctx, dsn, func(tx pgx.Tx) error {
		for _, a := range additions {
			n, err := a.apply(ctx, tx)
			if err != nil {
				return fmt.Errorf("seed %s: %w", a.table, err)
			}
			added = append(added, Added{a.table, n})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, a := range added {
		for _, f := range done {
			f(a)
		}
	}
	return nil
}

func (a addition) apply(ctx context.Context, tx pgx.Tx) (int64, error) {
	var missing bool
	if err := tx.QueryRow(ctx, a.missing, a.columns[0]).Scan(&missing); err != nil || !missing {
		return 0, err
	}
	tag, err := tx.Exec(ctx, a.insert, a.columns...)
	return tag.RowsAffected(), err
}

// inTransaction runs do as pizza_owner, one seed at a time.
func inTransaction(ctx context.Context, dsn string, do func(pgx.Tx) error) (err error) {
	conn, err := connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	return explain(pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", seedLock); err != nil {
			return err
		}
		return do(tx)
	}))
}

// SeedLicence returns the license notice of the menu.
func SeedLicence() (string, error) {
	text, err := files.ReadFile("seed/LICENSE-gt-MIT.txt")
	return string(text), err
}

// menuRows reads the catalog; see seed/README.md.
func menuRows() ([]addition, error) {
	dir, err := fs.Sub(files, "seed/menu")
	if err != nil {
		return nil, err
	}
	var typeIDs, names, categories, images []string
	err = readCSV(dir, "pizza_types.csv", []string{"pizza_type_id", "name", "category"}, func(r record) error {
		typeIDs = append(typeIDs, r.field(0))
		names = append(names, r.field(1))
		categories = append(categories, r.field(2))
		images = append(images, "images/"+r.field(0)+".png") // relative: the front end prepends its own path
		return nil
	})
	if err != nil {
		return nil, err
	}
	var ids, types, sizes []string
	var prices []float64
	err = readCSV(dir, "pizzas.csv", []string{"pizza_id", "pizza_type_id", "size", "price"}, func(r record) error {
		price, err := money.Parse(r.field(3))
		if err != nil {
			return r.bad(3, "%v", err)
		}
		ids = append(ids, r.field(0))
		types = append(types, r.field(1))
		sizes = append(sizes, r.field(2))
		prices = append(prices, price.Float())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []addition{
		{
			table:   "pizza_types",
			missing: "SELECT EXISTS (SELECT unnest($1::text[]) EXCEPT SELECT pizza_type_id FROM pizza_types)",
			insert: `INSERT INTO pizza_types (pizza_type_id, pizza_nm, pizza_categ, pizza_img_url)
				SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) ON CONFLICT DO NOTHING`,
			columns: []any{typeIDs, names, categories, images},
		},
		{
			table:   "pizza",
			missing: "SELECT EXISTS (SELECT unnest($1::text[]) EXCEPT SELECT pizza_id FROM pizza)",
			insert: `INSERT INTO pizza (pizza_id, pizza_type_id, size, price)
				SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::float8[]) ON CONFLICT DO NOTHING`,
			columns: []any{ids, types, sizes, prices},
		},
	}, nil
}

// branchIDs returns the ids of the old system's test data, and two more.
func branchIDs() []string {
	return []string{DemoBranch, "BRANCH002", "BRANCH003", "BRANCH004", "BRANCH005"}
}

func branches() addition {
	return addition{
		table:   "branch",
		missing: "SELECT EXISTS (SELECT unnest($1::text[]) EXCEPT SELECT bran_id FROM branch)",
		insert:  "INSERT INTO branch (bran_id, bran_nm) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING",
		columns: []any{branchIDs(), []string{"강남점", "홍대점", "신촌점", "잠실점", "판교점"}},
	}
}

func demo() addition { return members([]string{DemoMember}, []string{demoHash}, []string{demoName}) }

// freeID is the condition that new.id is available for a new member.
const freeID = `NOT EXISTS (SELECT FROM member WHERE member_id = new.id)
	AND NOT EXISTS (SELECT FROM former_member WHERE id_hash = sha256(convert_to(new.id, 'UTF8')))`

func members(ids, passwords, names []string) addition {
	return addition{
		table:   "member",
		missing: "SELECT EXISTS (SELECT FROM unnest($1::text[]) AS new (id) WHERE " + freeID + ")",
		// Deleted members are not recreated.
		insert: `INSERT INTO member (member_id, member_pwd, member_nm)
			SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS new (id) WHERE ` + freeID + ` ON CONFLICT DO NOTHING`,
		columns: []any{ids, passwords, names},
	}
}
