package postgres

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/money"
	"example.com/pizza/pkg/postgres"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/services/order/internal/postgres/db"
)

// BenchmarkMember measures the cost of the token check and of row-level
// security on a year of orders. "without" is the same statement alone, with the
// policies disabled.
//
//	go test -run '^$' -bench Member -benchtime 2000x -count 6 ./internal/postgres
func BenchmarkMember(b *testing.B) {
	d := migrationstest.NewSeeded(b)
	history := migrations.History{Dir: "../../../../migrations/seed/history", Zone: time.UTC, Progress: io.Discard}
	if _, err := migrations.SeedHistory(b.Context(), d.URL("migrator"), history); err != nil {
		b.Fatal(err)
	}
	admin, err := pgx.Connect(b.Context(), d.URL(""))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = admin.Close(context.Background()) }()
	exec := func(sql string) {
		if _, err := admin.Exec(b.Context(), sql); err != nil {
			b.Fatal(err)
		}
	}
	exec("ANALYZE")
	c := pgtest.Config(b, d.URL("order_svc"))
	c.MaxConns = 1
	pool, err := postgres.Open(b.Context(), c, "order", prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	var memberID, orderID string // with the most orders
	err = admin.QueryRow(b.Context(), "SELECT member_id, max(order_id) FROM orders GROUP BY 1 ORDER BY count(*) DESC LIMIT 1").Scan(&memberID, &orderID)
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	var q *db.Queries
	branch, price := "BRANCH001", money.MustParse("12.75")
	total := price.Times(3)
	for _, c := range []struct {
		name string
		run  func() error
	}{
		{"place_three_lines", func() error {
			n++
			id := fmt.Sprint("bench-", n)
			kept, err := q.InsertOrder(b.Context(), db.InsertOrderParams{
				OrderID: id, MemberID: memberID, BranID: &branch, Date: "2014-01-01", Time: "12:00:00", TotalPrice: &total,
				PizzaIds: []string{"bbq_ckn_s", "bbq_ckn_m", "bbq_ckn_l"}, Quantities: []int32{1, 1, 1},
				UnitPrices: []money.Amount{price, price, price},
				EventID:    uuid.New(), EventType: "order.created", EventData: []byte("{}"),
				Key: &id, Fingerprint: []byte{}, Status: 201, Body: []byte{},
			})
			if err == nil && kept != 1 {
				err = fmt.Errorf("%d kept", kept)
			}
			return err
		}},
		{"my_orders", func() error {
			_, err := q.ListOrders(b.Context(), db.ListOrdersParams{MemberID: memberID, MaxOrders: 20, MaxLines: 1000})
			return err
		}},
		{"get_order", func() error {
			_, err := q.GetOrder(b.Context(), db.GetOrderParams{OrderID: orderID, MemberID: memberID})
			return err
		}},
	} {
		for _, policies := range []string{"without", "with"} {
			verb := "DISABLE"
			q = db.New(pool)
			if policies == "with" {
				q, verb = NewStore(pool, func() {}).as(as(memberID)), "ENABLE"
			}
			for _, table := range []string{"orders", "order_detail", "idempotency_key"} {
				exec(fmt.Sprintf("ALTER TABLE %s %s ROW LEVEL SECURITY", table, verb))
			}
			for range 50 { // connects, prepares, and settles on a plan
				if err := c.run(); err != nil {
					b.Fatal(err)
				}
			}
			b.Run(c.name+"/"+policies, func(b *testing.B) {
				for b.Loop() {
					if err := c.run(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
