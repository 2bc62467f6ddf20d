package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/services/order/internal/order"
	"example.com/pizza/services/order/internal/postgres/db"
)

// listed is an order as the list tests store it.
type listed struct {
	id     string
	placed time.Time // zero in rows from before created_at
	date   string
	time   string
	lines  int
}

// in returns an order placed at a moment, in the local time of a shop in zone.
func in(t *testing.T, zone, id, moment string, lines int) listed {
	t.Helper()
	shop, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	placed, err := time.Parse(time.RFC3339Nano, moment)
	if err != nil {
		t.Fatal(err)
	}
	local := placed.In(shop)
	return listed{id, placed, local.Format(time.DateOnly), local.Format(time.TimeOnly), lines}
}

// keep stores orders of a member in a new database, and returns a store on it.
func keep(t *testing.T, memberID string, orders []listed) *Store {
	t.Helper()
	d := migrationstest.NewSeeded(t)
	admin := openPool(t, pgtest.Config(t, d.URL("")), 1)
	var b pgx.Batch
	for _, o := range orders {
		var placed *time.Time
		if !o.placed.IsZero() {
			placed = &o.placed
		}
		b.Queue("INSERT INTO orders (order_id, member_id, date, time, created_at) VALUES ($1, $2, $3, $4, $5)", o.id, memberID, o.date, o.time, placed)
		b.Queue("INSERT INTO order_detail (order_id, pizza_id, quantity) SELECT $1, 'bbq_ckn_s', n FROM generate_series(1, $2::int) n", o.id, o.lines)
	}
	if err := admin.SendBatch(t.Context(), &b).Close(); err != nil {
		t.Fatal(err)
	}
	return NewStore(openPool(t, pgtest.Config(t, d.URL("order_svc")), 1), func() {})
}

// mustPage walks all pages, and checks that they are these complete orders in
// this sequence.
func mustPage(t *testing.T, s *Store, memberID string, orders, lines int, want []listed) {
	t.Helper()
	type seen struct {
		ID    string
		Lines int
	}
	var got, expected []seen
	for _, o := range want {
		expected = append(expected, seen{o.id, o.lines})
	}
	var after *order.Position
	for more := true; more; {
		var page []order.Order
		var err error
		if page, more, err = s.List(t.Context(), as(memberID), after, orders, lines); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, o := range page {
			got = append(got, seen{o.ID, len(o.Lines)})
			n += max(1, len(o.Lines))
		}
		if len(page) > orders || (n > lines && len(page) > 1) {
			t.Errorf("a page of %d orders and %d lines, want up to %d and %d", len(page), n, orders, lines)
		}
		if more {
			if len(page) == 0 {
				t.Fatal("an empty page says that there are more")
			}
			last := page[len(page)-1].Position()
			after = &last
		}
	}
	if diff := cmp.Diff(expected, got); diff != "" {
		t.Errorf("pages of %d orders and %d lines: %s", orders, lines, diff)
	}
}

// When clocks are set back, an hour of local time occurs twice. Orders are
// sorted by instant; those of the old system, which have none, come last.
func TestOrdersAreListedByTheMoment(t *testing.T) {
	t.Parallel()
	for zone, want := range map[string][]listed{
		"America/New_York": {
			in(t, "America/New_York", "after", "2026-11-01T06:10:00Z", 1),       // 01:10 EST
			in(t, "America/New_York", "before", "2026-11-01T05:32:00Z", 2),      // 01:32 EDT
			in(t, "America/New_York", "long_before", "2026-11-01T04:59:59Z", 1), // 00:59 EDT
		},
		"Europe/Berlin": {
			in(t, "Europe/Berlin", "after", "2026-10-25T01:05:00.000002Z", 0),    // 02:05 CET
			in(t, "Europe/Berlin", "same_2", "2026-10-25T01:05:00.000001Z", 3),   // the same second
			in(t, "Europe/Berlin", "same_1", "2026-10-25T01:05:00.000001Z", 1),   // the same moment
			in(t, "Europe/Berlin", "before", "2026-10-25T00:59:59.999999Z", 1),   // 02:59:59 CEST
			in(t, "Europe/Berlin", "at_midnight", "2026-10-24T22:00:00Z", 1),     // 00:00 CEST
			in(t, "Europe/Berlin", "the_day_before", "2026-10-24T21:59:59Z", 50), // 23:59:59 CEST
		},
	} {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			// old_3 has a later date, from a wrong clock of the old system.
			want := append(slices.Clone(want),
				listed{"old_3", time.Time{}, "2027-01-01", "00:00:00", 1},
				listed{"old_2", time.Time{}, "2015-01-01", "11:38:36", 0},
				listed{"old_1", time.Time{}, "2015-01-01", "11:38:36", 2},
			)
			mixed := slices.Clone(want)
			rand.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
			store := keep(t, "ada", mixed)
			for orders := 1; orders <= len(want)+1; orders++ {
				for _, lines := range []int{1, 2, 3, 1000} {
					mustPage(t, store, "ada", orders, lines, want)
				}
			}
		})
	}
}

// For any orders and page sizes, the pages together are the whole list.
func TestPagesAreTheWholeList(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 8))
			var orders []listed
			for i := range 60 {
				o := listed{
					id: fmt.Sprintf("%03d", i), lines: r.IntN(6),
					date: fmt.Sprintf("2026-01-%02d", 1+r.IntN(3)), time: fmt.Sprintf("%02d:00:00", r.IntN(3)),
				}
				if r.IntN(3) > 0 { // few distinct instants, so that many are equal
					o.placed = time.UnixMicro(1_800_000_000_000_000 + r.Int64N(5))
				}
				orders = append(orders, o)
			}
			store := keep(t, "ada", orders)
			slices.SortFunc(orders, func(a, b listed) int {
				if old := a.placed.IsZero(); old != b.placed.IsZero() {
					if old {
						return 1
					}
					return -1
				}
				return -cmpAll(a.placed.Compare(b.placed), strings.Compare(a.date, b.date), strings.Compare(a.time, b.time), strings.Compare(a.id, b.id))
			})
			for range 12 {
				mustPage(t, store, "ada", 1+r.IntN(70), 1+r.IntN(200), orders)
			}
		})
	}
}

func cmpAll(results ...int) int {
	for _, r := range results {
		if r != 0 {
			return r
		}
	}
	return 0
}

// The cost of a page depends only on its content, not on its position or the
// member's number of orders: no plan reads or sorts the rest.
func TestPageReadsNothingElse(t *testing.T) {
	t.Parallel()
	d := migrationstest.NewSeeded(t)
	admin, err := pgx.Connect(t.Context(), d.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(context.Background()) }()
	for _, sql := range []string{
		`INSERT INTO orders (order_id, member_id, date, time, created_at)
		 SELECT 'new' || n, 'ada', '2026-01-01', '00:00:00', '2026-01-01'::timestamptz + n * interval '1 s' FROM generate_series(1, 20000) n`,
		`INSERT INTO orders (order_id, member_id, date, time, created_at)
		 SELECT 'old' || n, 'ada', to_char('2015-01-01'::timestamp + n * interval '1 min', 'YYYY-MM-DD'), '00:00:00', NULL FROM generate_series(1, 20000) n`,
		`INSERT INTO order_detail (order_id, pizza_id, quantity) SELECT order_id, 'bbq_ckn_s', n FROM orders, generate_series(1, 3) n`,
		"VACUUM ANALYZE orders, order_detail",
	} {
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	plans := &planner{t: t, dsn: d.URL("order_svc")}
	for name, after := range map[string]*order.Position{
		"first":            nil,
		"ids":              nil,
		"after_a_moment":   {Placed: time.Date(2026, 1, 1, 6, 0, 0, 0, time.UTC).UnixMicro(), Date: "2026-01-01", Time: "00:00:00", ID: "new1"},
		"among_the_oldest": {Date: "2015-01-02", Time: "00:00:00", ID: "old1"},
		"from_new_to_old":  {Placed: time.Date(2026, 1, 1, 0, 0, 5, 0, time.UTC).UnixMicro(), Date: "2026-01-01", Time: "00:00:00", ID: "new5"},
	} {
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			if rows := plans.most(name, mode, after); rows > 1000 {
				t.Errorf("%s, %s: a step of the plan has %v rows for a page of 100 orders", name, mode, rows)
			}
		}
	}
}

// planner explains the queries of pages.
type planner struct {
	t   *testing.T
	dsn string
}

// most returns the largest number of rows that a step of the plan has read.
func (p *planner) most(name, mode string, after *order.Position) (rows float64) {
	p.t.Helper()
	conn, err := pgx.Connect(p.t.Context(), p.dsn)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	query, args := statementOf(name, after)
	for i, sql := range []string{
		"SET plan_cache_mode = " + mode, "SELECT set_config('pizza.member', 'ada', false)", "PREPARE page AS " + query,
	} {
		if _, err := conn.Exec(p.t.Context(), sql); err != nil {
			p.t.Fatalf("%s: step %d: %v", name, i, err)
		}
	}
	var text []byte
	if err := conn.QueryRow(p.t.Context(), "EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE page"+args).Scan(&text); err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal(text, &plans); err != nil {
		p.t.Fatal(err)
	}
	return plans[0].Plan.most()
}

// statementOf returns the query of a page of 100 orders, and its arguments as SQL.
func statementOf(name string, after *order.Position) (query, args string) {
	r := &recorder{}
	q := db.New(r)
	switch { // as Store.page does
	case name == "ids":
		_, _ = q.ListOrderIDs(context.Background(), db.ListOrderIDsParams{MemberID: "ada", MaxOrders: 101})
	case after == nil:
		_, _ = q.ListOrders(context.Background(), db.ListOrdersParams{MemberID: "ada", MaxOrders: 101, MaxLines: 1001})
	case after.Placed == 0:
		_, _ = q.ListOldOrdersAfter(context.Background(), db.ListOldOrdersAfterParams{
			MemberID: "ada", MaxOrders: 101, MaxLines: 1001, AfterDate: after.Date, AfterTime: after.Time, AfterID: after.ID,
		})
	default:
		_, _ = q.ListOrdersAfter(context.Background(), db.ListOrdersAfterParams{
			MemberID: "ada", MaxOrders: 101, MaxLines: 1001, AfterCreatedAt: time.UnixMicro(after.Placed),
			AfterDate: after.Date, AfterTime: after.Time, AfterID: after.ID,
		})
	}
	return r.query, "(" + strings.Join(r.args, ", ") + ")"
}

// recorder is a db.DBTX that keeps the query instead of running it.
type recorder struct {
	db.DBTX
	query string
	args  []string
}

func (r *recorder) Query(_ context.Context, query string, args ...any) (pgx.Rows, error) {
	r.query = query
	for _, a := range args {
		if moment, ok := a.(time.Time); ok {
			a = moment.Format(time.RFC3339Nano)
		}
		r.args = append(r.args, fmt.Sprintf("'%v'", a))
	}
	return nil, errors.New("not run")
}

type node struct {
	Rows    float64 `json:"Actual Rows"`
	Loops   float64 `json:"Actual Loops"`
	Removed float64 `json:"Rows Removed by Filter"`
	Plans   []node
}

func (n node) most() float64 {
	most := (n.Rows + n.Removed) * n.Loops
	for _, p := range n.Plans {
		most = max(most, p.most())
	}
	return most
}
