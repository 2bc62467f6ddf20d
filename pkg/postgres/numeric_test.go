package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/money"
	"example.com/pizza/pkg/postgres"
)

func openNumeric(t *testing.T, prepared string) *pgxpool.Pool {
	t.Helper()
	c := settings(t)
	c.Prepared = prepared
	pool, err := postgres.Open(t.Context(), c, "oven", prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// An amount is the same for PostgreSQL, as a value and in an array, with and without
// prepared statements, and in either format of the protocol.
func TestAmounts(t *testing.T) {
	t.Parallel()
	for _, prepared := range []string{"on", "off"} {
		pool := openNumeric(t, prepared)
		for _, text := range []string{
			"0", "0.01", "-0.01", "0.1", "1", "9999.99", "10000", "-10000.01", "20.75", "99999999.99", "-99999999.99",
		} {
			want := money.MustParse(text)
			var got money.Amount
			var null, there *money.Amount
			var all []money.Amount
			var same bool
			err := pool.QueryRow(t.Context(), `
				SELECT $1::numeric, NULL::numeric, $2::numeric, $3::numeric[], $1 = $4::text::numeric AND $3 = ARRAY[$1, 0]`,
				want, &want, []money.Amount{want, {}}, text).Scan(&got, &null, &there, &all, &same)
			if err != nil || !same || got != want || null != nil || *there != want {
				t.Errorf("%s is %s, %v, and the same to PostgreSQL: %t; %v", text, got, there, same, err)
			}
			if diff := cmp.Diff([]money.Amount{want, {}}, all); diff != "" {
				t.Errorf("%s: %s", text, diff)
			}
			err = pool.QueryRow(t.Context(), "SELECT $1::numeric", pgx.QueryExecModeSimpleProtocol, want).Scan(&got)
			if err != nil || got != want {
				t.Errorf("as text, %s is %s, %v", text, got, err)
			}
		}
	}
}

// A number that is no amount is an error, never another amount.
func TestNumbersThatAreNoAmounts(t *testing.T) {
	t.Parallel()
	pool := openNumeric(t, "on")
	for _, text := range []string{
		"NULL", "'NaN'", "'Infinity'", "'-Infinity'", "0.001", "-12.345", "0.00001", "1e-20", "1e12", "-1e300",
	} {
		var got money.Amount
		if err := pool.QueryRow(t.Context(), "SELECT "+text+"::numeric").Scan(&got); err == nil {
			t.Errorf("%s is read as %s", text, got)
		}
	}
}
