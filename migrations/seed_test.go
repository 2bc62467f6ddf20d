package migrations_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/argon2"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/money"
)

func TestSeed(t *testing.T) {
	t.Parallel()
	d := migrationstest.New(t)
	admin := connect(t, d.URL(""))
	seed := func(t *testing.T) (added []migrations.Added) {
		t.Helper()
		err := migrations.Seed(t.Context(), d.URL("migrator"), func(a migrations.Added) { added = append(added, a) })
		if err != nil {
			t.Fatal(err)
		}
		return added
	}
	const version = "SELECT version FROM catalog_version"

	t.Run("adds_menu_branches_and_demo_member", func(t *testing.T) {
		want := []migrations.Added{
			{Table: "pizza_types", Rows: 32}, {Table: "pizza", Rows: 96},
			{Table: "branch", Rows: 5}, {Table: "member", Rows: 1},
		}
		if diff := cmp.Diff(want, seed(t)); diff != "" {
			t.Error(diff)
		}
		for _, fact := range []string{
			"SELECT count(*) = 32 AND count(DISTINCT pizza_nm) = 32 AND bool_and(pizza_img_url = 'images/' || pizza_type_id || '.png') FROM pizza_types",
			"SELECT pizza_nm = 'The Barbecue Chicken Pizza' AND pizza_categ = 'Chicken' FROM pizza_types WHERE pizza_type_id = 'bbq_ckn'",
			"SELECT count(*) = 96 AND min(price) = 9.75 AND max(price) = 35.95 FROM pizza",
			"SELECT price = 20.75 AND size = 'L' AND pizza_type_id = 'bbq_ckn' FROM pizza WHERE pizza_id = 'bbq_ckn_l'",
			"SELECT array_agg(bran_nm ORDER BY bran_id) = '{강남점,홍대점,신촌점,잠실점,판교점}' FROM branch",
			"SELECT member_nm = 'Demo Member' FROM member WHERE member_id = 'demo'",
			"SELECT bran_nm = '강남점' FROM branch WHERE bran_id = '" + migrations.DemoBranch + "'",
		} {
			if !value[bool](t, admin, fact) {
				t.Errorf("not so: %s", fact)
			}
		}
	})
	t.Run("demo_password_verifies", func(t *testing.T) {
		phc := value[string](t, admin, "SELECT member_pwd FROM member WHERE member_id = $1", migrations.DemoMember)
		mustVerify(t, phc, migrations.DemoPassword)
	})
	t.Run("again_changes_nothing", func(t *testing.T) {
		exec(t, admin, "UPDATE pizza SET price = 99 WHERE pizza_id = 'bbq_ckn_l'")
		exec(t, admin, "UPDATE member SET member_pwd = 'changed' WHERE member_id = 'demo'")
		before := rows(t, d.URL(""))
		counted := value[int64](t, admin, version)
		for _, a := range seed(t) {
			if a.Rows != 0 {
				t.Errorf("%d rows added to %s", a.Rows, a.Table)
			}
		}
		if diff := cmp.Diff(before, rows(t, d.URL(""))); diff != "" {
			t.Error(diff)
		}
		if value[int64](t, admin, version) != counted {
			t.Error("the catalog has a new version, though nothing has changed")
		}
	})
	t.Run("adds_only_what_is_missing", func(t *testing.T) {
		exec(t, admin, "DELETE FROM pizza WHERE pizza_id IN ('bbq_ckn_s', 'bbq_ckn_m')")
		if got := seed(t)[1]; got.Rows != 2 {
			t.Errorf("%+v", got)
		}
		if got := value[float64](t, admin, "SELECT price FROM pizza WHERE pizza_id = 'bbq_ckn_l'"); got != 99 {
			t.Errorf("a changed price was set to %v", got)
		}
	})
}

// mustVerify checks a password against an Argon2id PHC string with the
// parameters that login uses.
func mustVerify(t *testing.T, phc, password string) {
	t.Helper()
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || strings.Join(parts[:4], "$") != "$argon2id$v=19$m=19456,t=2,p=1" {
		t.Fatalf("not an Argon2id PHC string: %s", phc)
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		t.Fatal(err)
	}
	want := base64.RawStdEncoding.EncodeToString(argon2.IDKey([]byte(password), salt, 2, 19456, 1, 32))
	if parts[5] != want {
		t.Error("the password does not verify")
	}
}

func seoul(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Seoul")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestSeedHistory(t *testing.T) {
	t.Parallel()
	d := migrationstest.NewSeeded(t)
	admin := connect(t, d.URL(""))
	var progress bytes.Buffer
	h := migrations.History{Dir: "seed/history", Zone: seoul(t), Progress: &progress}
	loaded, err := migrations.SeedHistory(t.Context(), d.URL("migrator"), h)
	if err != nil {
		t.Fatal(err)
	}

	t.Run("the_year", func(t *testing.T) {
		want := migrations.Loaded{Orders: 21350, Lines: 48620, Members: 500, Quantity: 49574, Revenue: money.MustParse("817860.05")}
		if diff := cmp.Diff(want, loaded); diff != "" {
			t.Error(diff)
		}
		for _, fact := range []string{
			"SELECT count(*) = 21350 AND sum(total_price) = 817860.05 FROM orders",
			"SELECT count(*) = 48620 AND sum(quantity) = 49574 AND sum(quantity * unit_price) = 817860.05 FROM order_detail",
			// Every total is the sum of its lines, at menu prices.
			`SELECT bool_and(total_price = sum) FROM orders
			 JOIN (SELECT order_id, sum(quantity * unit_price) FROM order_detail GROUP BY order_id) AS s USING (order_id)`,
			"SELECT bool_and(unit_price = price::numeric(10,2)) FROM order_detail JOIN pizza USING (pizza_id)",
			// The lines are numbered as in the file.
			"SELECT min(order_detail_id) = 1 AND max(order_detail_id) = 48620 FROM order_detail",
			"SELECT order_id = '2' AND pizza_id = 'five_cheese_l' FROM order_detail WHERE order_detail_id = 3",
			// date and time are those of the file, and agree with created_at.
			"SELECT date = '2015-01-01' AND time = '11:38:36' FROM orders WHERE order_id = '1'",
			"SELECT bool_and(to_char(created_at AT TIME ZONE 'Asia/Seoul', 'YYYY-MM-DD HH24:MI:SS') = date || ' ' || time) FROM orders",
			"SELECT min(date) = '2015-01-01' AND max(date) = '2015-12-31' AND count(DISTINCT date) = 358 FROM orders",
			"SELECT bool_and(member_id IN (SELECT member_id FROM member)) AND count(DISTINCT bran_id) = 5 FROM orders",
		} {
			if !value[bool](t, admin, fact) {
				t.Errorf("not so: %s", fact)
			}
		}
	})
	t.Run("members_and_branches_are_spread_the_same_way_every_time", func(t *testing.T) {
		got := values[string](t, admin, `
			SELECT member_id || ' ' || bran_id FROM orders
			WHERE order_id IN ('1', '2', '21350') ORDER BY order_id::int`)
		if diff := cmp.Diff([]string{"member0163 BRANCH001", "member0119 BRANCH001", "member0002 BRANCH001"}, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("tells_the_progress", func(t *testing.T) {
		lines := strings.Split(strings.TrimSpace(progress.String()), "\n")
		if len(lines) != 10 || !strings.Contains(lines[9], "100%  69970/69970 rows") || !strings.Contains(lines[0], "rows/s") {
			t.Errorf("%q", lines)
		}
	})
	t.Run("again_loads_nothing", func(t *testing.T) {
		loaded, err := migrations.SeedHistory(t.Context(), d.URL("migrator"), h)
		if err != nil || loaded != (migrations.Loaded{}) {
			t.Errorf("%+v %v", loaded, err)
		}
		if n := value[int](t, admin, "SELECT count(*) FROM order_detail"); n != 48620 {
			t.Errorf("%d lines", n)
		}
	})
	t.Run("refuses_when_some_orders_are_there", func(t *testing.T) {
		exec(t, admin, "DELETE FROM order_detail WHERE order_id = '7'")
		exec(t, admin, "DELETE FROM orders WHERE order_id = '7'")
		if _, err := migrations.SeedHistory(t.Context(), d.URL("migrator"), h); !errors.Is(err, migrations.ErrPartlyLoaded) {
			t.Errorf("%v", err)
		}
	})
	t.Run("new_lines_go_on_after_it", func(t *testing.T) {
		conn := connectAs(t, d, value[string](t, admin, "SELECT member_id FROM orders WHERE order_id = '8'"))
		n := value[int](t, conn, "INSERT INTO order_detail (order_id, quantity) VALUES ('8', 1) RETURNING order_detail_id")
		if n != 48621 {
			t.Errorf("the next number is %d", n)
		}
	})
}

func TestSeedHistoryRefuses(t *testing.T) {
	t.Parallel()
	d := migrationstest.NewSeeded(t)
	const (
		orders = "order_id,date,time\n1,2015-01-01,11:38:36\n2,2015-01-01,11:57:40\n"
		lines  = "order_details_id,order_id,pizza_id,quantity\n1,1,bbq_ckn_l,1\n2,2,hawaiian_m,2\n"
	)
	for _, test := range []struct{ name, orders, lines, want string }{
		{"no_orders_file", "", lines, "neither orders.csv.gz nor orders.csv exists"},
		{"no_lines_file", orders, "", "neither order_details.csv.gz nor order_details.csv exists"},
		{"empty_file", "\n", lines, "orders.csv: the file is empty"},
		{"missing_columns", "order_id,day\n1,2015-01-01\n", lines, "orders.csv:1: no column date, time"},
		{"column_twice", "order_id,date,time,date\n", lines, `orders.csv:1: column "date" is there twice`},
		{"too_few_fields", orders + "3,2015-01-01\n", lines, "orders.csv:4:1: wrong number of fields"},
		{"broken_quotes", orders + "3,\"2015-01-01,1\n", lines, "orders.csv:4:"},
		{"no_id", orders + ",2015-01-01,11:00:00\n", lines, "orders.csv:4:1: order_id is empty"},
		{"long_id", orders + strings.Repeat("9", 51) + ",2015-01-01,11:00:00\n", lines, "orders.csv:4:1: order_id is longer than 50 characters"},
		{"invalid_utf8", orders + "\xff,2015-01-01,11:00:00\n", lines, "orders.csv:4:1: order_id is not valid UTF-8 text"},
		{"nul", orders + "a\x00,2015-01-01,11:00:00\n", lines, "orders.csv:4:1: order_id is not valid UTF-8 text"},
		{"order_twice", orders + "1,2015-01-01,11:00:00\n", lines, `orders.csv:4:1: order_id "1" is there twice`},
		{"no_date", orders + "3,2015-02-30,11:00:00\n", lines, `orders.csv:4:3: date "2015-02-30" is not a date such as 2015-01-31`},
		{"no_time", orders + "3,2015-01-01,25:00:00\n", lines, `orders.csv:4:14: time "25:00:00" is not a time such as 11:38:36`},
		{"unknown_order", orders, lines + "3,9,bbq_ckn_l,1\n", `order_details.csv:4:3: order_id "9" is not among the orders`},
		{"unknown_pizza", orders, lines + "3,1,durian_l,1\n", `order_details.csv:4:5: pizza_id "durian_l" is not on the menu`},
		{"fraction", orders, lines + "3,1,bbq_ckn_l,1.5\n", `order_details.csv:4:15: quantity "1.5" is not a positive integer`},
		{"zero", orders, lines + "3,1,bbq_ckn_l,0\n", `order_details.csv:4:15: quantity "0" is not a positive integer`},
		{"huge_quantity", orders, lines + "3,1,bbq_ckn_l,99999999999\n", `order_details.csv:4:15: quantity "99999999999" is not a positive integer`},
		{"huge_total", orders, lines + "3,1,bbq_ckn_l,2000000000\n", "order_details.csv:4:15: quantity makes the order's total more than 99999999.99"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "orders.csv", test.orders)
			write(t, dir, "order_details.csv", test.lines)
			mustRefuse(t, d, dir, test.want)
		})
	}
	t.Run("gzip_cut_off", func(t *testing.T) {
		dir := t.TempDir()
		whole, err := os.ReadFile("seed/history/orders.csv.gz")
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, "orders.csv.gz", string(whole[:len(whole)/2]))
		write(t, dir, "order_details.csv", lines)
		mustRefuse(t, d, dir, "orders.csv.gz: "+io.ErrUnexpectedEOF.Error())
	})
	t.Run("not_gzip", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "orders.csv.gz", orders)
		mustRefuse(t, d, dir, "orders.csv.gz: "+gzip.ErrHeader.Error())
	})
	t.Run("no_folder", func(t *testing.T) {
		mustRefuse(t, d, filepath.Join(t.TempDir(), "nothing"), "neither orders.csv.gz nor orders.csv exists")
	})
	t.Run("good_files_after_all", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "orders.csv", "\ufeff"+orders) // as a spreadsheet writes it
		write(t, dir, "order_details.csv", lines)
		loaded, err := migrations.SeedHistory(t.Context(), d.URL("migrator"), migrations.History{Dir: dir, Zone: time.UTC, Progress: io.Discard})
		if err != nil || loaded.Orders != 2 || loaded.Revenue.String() != "47.25" {
			t.Errorf("%+v %v", loaded, err)
		}
	})
}

// write creates a file, unless content is empty.
func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if content == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// mustRefuse checks that the error contains want and that nothing is loaded.
func mustRefuse(t *testing.T, d *migrationstest.Database, dir, want string) {
	t.Helper()
	_, err := migrations.SeedHistory(t.Context(), d.URL("migrator"), migrations.History{Dir: dir, Zone: time.UTC, Progress: io.Discard})
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the error is %v, want %s", err, want)
	}
	if n := value[int](t, connect(t, d.URL("")), "SELECT (SELECT count(*) FROM orders) + (SELECT count(*) - 1 FROM member)"); n != 0 {
		t.Errorf("%d rows were written", n)
	}
}

// The history needs the menu for its prices.
func TestSeedHistoryWithoutMenu(t *testing.T) {
	t.Parallel()
	d := migrationstest.New(t)
	mustRefuseMenu := `order_details.csv.gz:2:5: pizza_id "hawaiian_m" is not on the menu`
	_, err := migrations.SeedHistory(t.Context(), d.URL("migrator"),
		migrations.History{Dir: "seed/history", Zone: time.UTC, Progress: io.Discard})
	if err == nil || !strings.Contains(err.Error(), mustRefuseMenu) {
		t.Error(err)
	}
}
