package takeover_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/pizza/deploy/local/stack"
	"example.com/pizza/deploy/takeover/monolith"
	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/money"
	"example.com/pizza/pkg/testkit/pgserver"
)

const (
	seed   = "../../migrations/seed"
	secret = "the-key-that-both-sides-share-of-48-characters.."
	crowd  = 3
)

// TestRollOut plays the steps of docs/takeover.md on the year of orders, while customers
// order on both sides. None of their requests fails, and no acknowledged order is lost.
func TestRollOut(t *testing.T) {
	t.Parallel()
	t.Run("design_document", func(t *testing.T) { t.Parallel(); play(t, false) })
	t.Run("integer_ids", func(t *testing.T) { t.Parallel(); play(t, true, migrationstest.IntegerIDs()...) })
}

func play(t *testing.T, isNumeric bool, replacements ...string) {
	server, err := pgserver.Start(t.Context(), pgserver.Options{Settings: pgserver.TestSettings(), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	live := liveDatabase(t, server, replacements...)
	old := httptest.NewServer((&monolith.StandIn{DB: live, Secret: []byte(secret), NumericIDs: isNumeric}).Handler())
	t.Cleanup(old.Close)
	f := newFront(t, old.URL)
	c := &customers{front: f, client: http.Client{Timeout: time.Minute}, orders: map[string][]string{}}
	stop := c.run(t)
	c.await(t, 20)

	// 1. Look.
	report, err := migrations.Preflight(t.Context(), server.URL("pizza"), func(string) {})
	if err != nil || !report.Go() {
		t.Fatalf("no go: %v, %+v", err, report.Findings)
	}
	// 2. Adopt, and start the services beside the old system.
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "secrets.json"), fmt.Appendf(nil, `{"jwt_secret":%q}`, secret), 0o600); err != nil {
		t.Fatal(err)
	}
	services, err := stack.Start(t.Context(), stack.Options{
		Root: root, DataDir: folder, DatabaseURL: server.URL("postgres"), Environ: []string{"PASSWORD_UPGRADE=off"}, Progress: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := services.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	f.to(t, services.URL())
	c.await(t, 20)
	// 3. Shift the paths, with a step back.
	for _, step := range []struct {
		path   string
		weight int64
	}{
		{"login", 100},
		{"menu", 10}, {"menu", 50}, {"menu", 0}, {"menu", 100},
		{"order", 10}, {"order", 50}, {"order", 0}, {"order", 10}, {"order", 50}, {"order", 100},
	} {
		f.weights[step.path].Store(step.weight)
		c.await(t, 25)
	}
	stop()
	mustHaveAll(t, live, c)
	mustHaveRevenue(t, server.URL("pizza"), c.placed.Load())
}

// mustHaveRevenue fills the history, and compares the totals to the cent with those of the
// real year and of the customers, wherever they ordered.
func mustHaveRevenue(t *testing.T, dsn string, placed int64) {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Seoul")
	if err != nil {
		t.Fatal(err)
	}
	filled, err := migrations.FillHistory(t.Context(), dsn, migrations.Backfill{Zone: zone, Progress: io.Discard})
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

// liveDatabase creates the old system's database with the year of orders.
func liveDatabase(t *testing.T, server *pgserver.Server, replacements ...string) *pgxpool.Pool {
	t.Helper()
	ctx := t.Context()
	admin, err := pgx.Connect(ctx, server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(ctx) }()
	for _, sql := range []string{"CREATE ROLE monolith LOGIN PASSWORD 'only-for-tests'", "CREATE DATABASE pizza OWNER monolith"} {
		if _, err := admin.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	u, err := url.Parse(server.URL("pizza"))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("monolith", "only-for-tests")
	live, err := pgxpool.New(ctx, u.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(live.Close)
	if _, err := live.Exec(ctx, migrationstest.OldTables(replacements...), pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	if _, err := live.Exec(ctx, "INSERT INTO branch VALUES ('BRANCH001', '강남점')"); err != nil {
		t.Fatal(err)
	}
	same := func(r []string) []string { return r }
	copyRows(t, live, "pizza_types", "menu/pizza_types.csv", func(r []string) []string {
		return []string{r[0], r[1], r[2], "images/" + r[0] + ".png"}
	})
	copyRows(t, live, "pizza", "menu/pizzas.csv", same)
	copyRows(t, live, "orders", "history/orders.csv.gz", func(r []string) []string {
		return []string{r[0], "year-" + r[0][len(r[0])-1:], "BRANCH001", r[1], r[2]}
	})
	copyRows(t, live, "order_detail", "history/order_details.csv.gz", same)
	return live
}

// copyRows inserts the rows of a file of the seed, as the old system stores them.
func copyRows(t *testing.T, live *pgxpool.Pool, table, name string, columns func([]string) []string) {
	t.Helper()
	file, err := os.Open(filepath.Join(seed, name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var text io.Reader = file
	if strings.HasSuffix(name, ".gz") {
		if text, err = gzip.NewReader(file); err != nil {
			t.Fatal(err)
		}
	}
	records, err := csv.NewReader(text).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	for _, r := range records[1:] {
		if err := w.Write(columns(r)); err != nil {
			t.Fatal(err)
		}
	}
	w.Flush()
	conn, err := live.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Conn().PgConn().CopyFrom(t.Context(), &b, "COPY "+table+" FROM STDIN (FORMAT csv)"); err != nil {
		t.Fatalf("%s: %v", table, err)
	}
}
