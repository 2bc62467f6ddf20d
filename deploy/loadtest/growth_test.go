package loadtest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/pgurl"
)

// TestFill checks that the orders of the real year are multiplied, and those of members are not.
func TestFill(t *testing.T) {
	t.Parallel()
	admin, err := pgurl.NewPool(t.Context(), migrationstest.NewSeeded(t).URL(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	for _, sql := range []string{
		`INSERT INTO orders (order_id, member_id, bran_id, date, time)
		 SELECT id, 'member', 'BRANCH001', '2015-01-01', '12:00:00' FROM unnest('{1,2,01890000-0000-7000-8000-000000000000}'::text[]) id`,
		`INSERT INTO order_detail (order_id, pizza_id, quantity)
		 SELECT order_id, 'bbq_ckn_l', 1 FROM orders, generate_series(1, 2)`,
	} {
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	r := &run{system: &system{admin: admin}}
	one, ten, many := &Size{years: 1}, &Size{years: 10}, &Size{years: 10}
	before := &Size{}
	for _, step := range []struct {
		size   *Size
		copies int
	}{{one, 0}, {ten, 0}, {many, 2}} {
		if err := r.fill(t.Context(), before, step.size, step.copies); err != nil {
			t.Fatal(err)
		}
		before = step.size
	}
	want := []*Size{
		{Orders: 3, Lines: 6, Pizzas: 96, years: 1},
		{Orders: 21, Lines: 42, Pizzas: 96, years: 10},
		{Orders: 21, Lines: 42, Pizzas: 288, years: 10},
	}
	if diff := cmp.Diff(want, []*Size{one, ten, many}, cmp.AllowUnexported(Size{})); diff != "" {
		t.Errorf("sizes (-want +got):\n%s", diff)
	}
	var events, receipts, changes int
	err = admin.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM idempotency_key),
		(SELECT count(*) FROM menu_outbox WHERE data ->> 'catalog_version' = (SELECT version FROM catalog_version)::text)`).
		Scan(&events, &receipts, &changes)
	if err != nil || events != 410+3695 || receipts != 58+526 || changes != 1 {
		t.Errorf("%d events, %d receipts, %d announcements of the menu, %v", events, receipts, changes, err)
	}
}

func TestGrowthTable(t *testing.T) {
	t.Parallel()
	g := &Growth{Date: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), Rounds: 6, Round: "2s", Rate: 200, Sizes: sizes(10)}
	g.Sizes[0].Orders = 21350
	for i := range g.Sizes {
		g.add("POST /order/, p50", "ms", float64(10+i), grownTarget)
		g.add("kitchen: claim", "blocks", float64(10*(1+i%2)), grownTarget)
		g.add("memory menu", "MiB", float64(30*(1+i)), 0)
	}
	var out strings.Builder
	if err := g.Write(&out); err != nil {
		t.Fatal(err)
	}
	_, got, _ := strings.Cut(out.String(), "target\n\n")
	const want = `size        orders  lines  pizzas
1×          21350   0      0
10×         0       0      0
10k pizzas  0       0      10000

                           1×     10×    10k pizzas  ratio  target
POST /order/, p50  ms      10.00  11.00  12.00       1.20   ≤1.30
kitchen: claim     blocks  10.00  20.00  10.00       2.00   ≤1.30 !
memory menu        MiB     30.00  60.00  90.00       3.00
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tables (-want +got):\n%s", diff)
	}
	if svg := g.Plots()["growth"]; strings.Count(svg, "<circle") != 4 || strings.Contains(svg, "memory menu") {
		t.Error("the drawing does not have the rows with a target, and no others")
	}
}
