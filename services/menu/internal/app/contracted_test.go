package app_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
)

// A process that was started before the contract goes on with its prepared statements,
// and serves the same menu; so does one that is started after it. Prices are exact then.
func TestServesThroughTheContract(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string][]string{
		"design_document": nil,
		"float4_price":    {"price FLOAT", "price FLOAT4"},
		"numeric_price":   {"price FLOAT", "price NUMERIC"},
		"missing_values":  {" NOT NULL", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := migrationstest.NewOldSystem(t, replace...)
			db, err := migrationstest.On(t.Context(), old.DSN)
			if err != nil {
				t.Fatal(err)
			}
			conn := superuser(t, db)
			exec(t, conn, "INSERT INTO pizza VALUES ('hawaiian_l', 'hawaiian', 'L', 16.555)")
			if name == "missing_values" {
				exec(t, conn, "INSERT INTO pizza VALUES ('none', 'hawaiian', 'XL', NULL), ('nan', 'hawaiian', NULL, 'NaN')")
			}
			s := start(t, db)
			price := func(s *service, price string) {
				t.Helper()
				body := `{"pizza_type_id":"bbq_ckn","size":"S","price":` + price + "}"
				if a := s.write(t, http.MethodPut, "/int/menu/pizzas/bbq_ckn_s", body); a.Status != http.StatusOK {
					t.Errorf("%d %s", a.Status, a.Body)
				}
			}
			price(s, "13.1")
			before := string(s.Get(t, "/menu/").Body)

			o := migrationstest.ContractOptions(t)
			db.Prepare(t, o)
			if err := migrations.ApplyContract(t.Context(), db.URL("migrator"), o); err != nil {
				t.Fatal(err)
			}
			fresh := start(t, db)
			for _, s := range []*service{s, fresh} {
				price(s, "0.07")
				const stored = "SELECT price::text FROM pizza WHERE pizza_id = 'bbq_ckn_s'"
				var exact string
				if err := conn.QueryRow(t.Context(), stored).Scan(&exact); err != nil {
					t.Fatal(err)
				}
				if exact != "0.07" {
					t.Errorf("the price is %s", exact)
				}
				price(s, "13.1")
				if diff := cmp.Diff(before, string(s.Get(t, "/menu/").Body)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}
