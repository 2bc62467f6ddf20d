package app_test

import (
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/services/order/api"
	"example.com/pizza/services/order/internal/app"
)

// Variants of the old system's tables are served beside the old system, which goes on
// placing orders by its own SQL.
func TestTakenOverTables(t *testing.T) {
	t.Parallel()
	const (
		asText   = "INSERT INTO orders VALUES ('of-old', 'kim', 'BRANCH002', '2025-09-01', '12:00:00') RETURNING order_id::text"
		asNumber = "INSERT INTO orders SELECT max(order_id) + 1, 'kim', 'BRANCH002', '2025-09-01', '12:00:00' FROM orders RETURNING order_id::text"
	)
	for name, v := range map[string]struct {
		replace []string
		sql     string // breaks the database, as its owner
		place   string // an order of the old system
		numbers bool
	}{
		"design_document": {place: asText},
		"integer_ids":     {replace: migrationstest.IntegerIDs(), place: asNumber, numbers: true},
		"bigint_ids":      {replace: []string{"order_id VARCHAR(50)", "order_id BIGINT"}, place: asNumber, numbers: true},
		"serial_lines":    {replace: []string{"order_detail_id INTEGER", "order_detail_id SERIAL"}, place: asText},
		"float4_price":    {replace: []string{"price FLOAT", "price FLOAT4"}, place: asText},
		"numeric_price":   {replace: []string{"price FLOAT", "price NUMERIC(10,2)"}, place: asText},
		"missing_values": {
			replace: []string{" NOT NULL", ""},
			sql: `INSERT INTO pizza VALUES ('nothing', 'bbq_ckn', NULL, NULL); INSERT INTO pizza_types (pizza_type_id) VALUES ('nameless');
				INSERT INTO orders (order_id) VALUES ('nobody'); INSERT INTO branch VALUES ('B', NULL);
				INSERT INTO orders (order_id, member_id) VALUES ('0', 'lee'); INSERT INTO order_detail VALUES (90, '0', 'bbq_ckn_s', NULL)`,
			place: asText,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := migrationstest.NewOldSystem(t, v.replace...)
			db, err := migrationstest.On(t.Context(), old.DSN)
			if err != nil {
				t.Fatal(err)
			}
			conn := admin(t, db)
			if _, err := conn.Exec(t.Context(), v.sql); err != nil { // empty for most
				t.Fatal(err)
			}
			s := startCached(t, db, startMenu(t, db))
			kim := s.as(t, "kim")

			const body = `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_s","quantity":2}],"expected_total":25.50}`
			a := s.Post(t, "/order/", "application/json", body, append(member(kim), "Idempotency-Key", "k")...)
			placed := apitest.Decode[api.PlacedOrder](t, a, http.StatusCreated)
			if v.numbers != strings.HasPrefix(placed.OrderID, "-") {
				t.Errorf("the id is %s", placed.OrderID)
			}
			again := s.Post(t, "/order/", "application/json", body, append(member(kim), "Idempotency-Key", "k")...)
			if got := apitest.Decode[api.PlacedOrder](t, again, http.StatusCreated); got.OrderID != placed.OrderID {
				t.Errorf("the second answer has the id %s, the first %s", got.OrderID, placed.OrderID)
			}
			second := apitest.Decode[api.PlacedOrder](t, s.order(t, kim, body), http.StatusCreated)

			var ofOld string
			if err := conn.QueryRow(t.Context(), v.place).Scan(&ofOld); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Exec(t.Context(), "INSERT INTO order_detail SELECT max(order_detail_id) + 1, order_key($1), 'bbq_ckn_s', 1 FROM order_detail", ofOld); err != nil {
				t.Fatal(err)
			}

			// All orders of both, page by page; the first of the old system has two lines.
			want := []string{ofOld, second.OrderID, placed.OrderID, "1", "1"}
			var got []string
			for path := "/order/myorder/?limit=1"; path != ""; {
				page := s.get(t, path, kim)
				for _, l := range apitest.Decode[[]api.OrderRow](t, page, http.StatusOK) {
					got = append(got, l.OrderID)
				}
				path, _, _ = strings.Cut(strings.TrimPrefix(page.Header.Get("Link"), "<"), ">")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			for _, id := range []string{placed.OrderID, ofOld, "1"} {
				if a := s.get(t, "/order/"+id+"/", kim); a.Status != http.StatusOK {
					t.Errorf("order %s: %d %s", id, a.Status, a.Body)
				}
			}
			for _, id := range []string{"nonsense", "01", "-0", "99999999999999999999", "2147483648", "2"} {
				if a := s.get(t, "/order/"+id+"/", kim); a.Status != http.StatusNotFound {
					t.Errorf("order %s: %d %s", id, a.Status, a.Body)
				}
			}
			for _, path := range []string{"/order/myorder/", "/order/branch/"} {
				if a := s.get(t, path, s.as(t, "lee")); a.Status != http.StatusOK {
					t.Errorf("%s: %d %s", path, a.Status, a.Body)
				}
			}
		})
	}
}

// The service works on the schema that it says it needs, without later migrations.
func TestSchemaVersionIsEnough(t *testing.T) {
	t.Parallel()
	db, err := migrationstest.On(t.Context(), migrationstest.NewOldSystem(t).DSN)
	if err != nil {
		t.Fatal(err)
	}
	conn := admin(t, db)
	for newest := math.MaxInt; newest > app.SchemaVersion; {
		if err := conn.QueryRow(t.Context(), "SELECT max(version_id) FROM schema_version_order").Scan(&newest); err != nil {
			t.Fatal(err)
		}
		if newest > app.SchemaVersion {
			if err := migrations.Down(t.Context(), db.URL("migrator"), migrations.Order); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := startCached(t, db, startMenu(t, db))
	kim := s.as(t, "kim")
	placed := apitest.Decode[api.PlacedOrder](t, s.order(t, kim, `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_s","quantity":1}]}`), http.StatusCreated)
	for _, path := range []string{"/order/" + placed.OrderID + "/", "/order/myorder/", "/order/branch/", "/healthz"} {
		if a := s.get(t, path, kim); a.Status != http.StatusOK {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
}
