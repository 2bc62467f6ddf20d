package takeover_test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/pizza/deploy/takeover/parity"
	"example.com/pizza/migrations"
	"example.com/pizza/pkg/money"
	"example.com/pizza/pkg/secret"
)

// mustHaveRevenue fills the history, and compares the totals to the cent with those of the
// real year and of the customers, wherever they ordered.
func mustHaveRevenue(t *testing.T, dsn string, placed int64) {
	t.Helper()
	filled, err := migrations.FillHistory(t.Context(), dsn, migrations.Backfill{Zone: zone(t), Progress: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if filled.Left != (migrations.Gaps{}) || len(filled.Unfillable) > 0 {
		t.Errorf("after the backfill: %+v", filled)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	var year, customers string
	var without int
	err = conn.QueryRow(t.Context(), `SELECT sum(total_price) FILTER (WHERE member_id LIKE 'year-%')::text,
		sum(total_price) FILTER (WHERE member_id LIKE 'customer-%')::text,
		count(*) FILTER (WHERE total_price IS NULL OR created_at IS NULL) FROM orders`).Scan(&year, &customers, &without)
	if err != nil {
		t.Fatal(err)
	}
	// A medium Hawaiian Pizza at 13.25, and two large Barbecue Chicken Pizzas at 20.75.
	if want := money.MustParse("54.75").Times(int(placed)).String(); year != "817860.05" || customers != want || without > 0 {
		t.Errorf("revenue of the year %s, want 817860.05; of the customers %s, want %s; %d orders without total or moment",
			year, customers, want, without)
	}
}

// mustHaveAll compares what was acknowledged with the tables.
func mustHaveAll(t *testing.T, live *pgxpool.Pool, c *customers) {
	t.Helper()
	rows, err := live.Query(t.Context(), `SELECT member_id, o.order_id::text, count(d), count(DISTINCT d.order_detail_id)
		FROM orders o LEFT JOIN order_detail d ON d.order_id = o.order_id WHERE member_id LIKE 'customer-%' GROUP BY 1, 2`)
	if err != nil {
		t.Fatal(err)
	}
	stored := map[string][]string{}
	var member, id string
	var lines, numbers int
	if _, err = pgx.ForEachRow(rows, []any{&member, &id, &lines, &numbers}, func() error {
		stored[member] = append(stored[member], id)
		if lines != 2 || numbers != 2 {
			t.Errorf("order %s has %d lines with %d numbers, want 2", id, lines, numbers)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, ids := range []map[string][]string{stored, c.orders} {
		for member := range ids {
			slices.Sort(ids[member])
		}
	}
	maps.DeleteFunc(c.orders, func(_ string, ids []string) bool { return len(ids) == 0 })
	if diff := cmp.Diff(c.orders, stored); diff != "" {
		t.Errorf("acknowledged (-) and stored (+) differ: %s", diff)
	}
	var history, historyLines int
	err = live.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM orders WHERE member_id LIKE 'year-%'),
		(SELECT count(*) FROM orders JOIN order_detail USING (order_id) WHERE member_id LIKE 'year-%')`).Scan(&history, &historyLines)
	if err != nil {
		t.Fatal(err)
	}
	if history != 21_350 || historyLines != 48_620 {
		t.Errorf("%d orders and %d lines of the year, want 21350 and 48620", history, historyLines)
	}
	t.Logf("%d requests to the old system, %d to the services, %d orders", c.front.old.Load(), c.front.new.Load(), c.placed.Load())
}

// mustHaveParity compares the answers of both sides to the reads of a member, and returns
// the file of the report.
func mustHaveParity(t *testing.T, oldSystem, services string, member string) string {
	t.Helper()
	o := parity.Options{
		Logins:  map[string]secret.Text{member: secret.Text(passwordOf(member))},
		Timeout: time.Minute, Again: time.Millisecond, Concurrency: 1, MaxBody: 1 << 20,
	}
	var err error
	if o.Rules, err = parity.ReadRules(""); err != nil {
		t.Fatal(err)
	}
	if o.Old, err = parity.ParseBase(oldSystem); err != nil {
		t.Fatal(err)
	}
	if o.New, err = parity.ParseBase(services); err != nil {
		t.Fatal(err)
	}
	requests, _, err := parity.ReadRequests(strings.NewReader(`
		{"path": "/api/menu/"}
		{"path": "/api/menu/types/"}
		{"method": "POST", "path": "/api/menu/get_pizza_id/", "body": {"name": "The Hawaiian Pizza", "size": "M"}}
		{"path": "/api/order/branch/"}
		{"path": "/api/order/myorder/", "as": "`+member+`"}`), false)
	if err != nil {
		t.Fatal(err)
	}
	report, err := parity.Replay(t.Context(), o, requests, 0)
	if err != nil || !report.Parity {
		t.Fatalf("no parity: %v, %+v", err, report)
	}
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "parity.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
