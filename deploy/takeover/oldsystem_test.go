package takeover_test

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/pgserver"
)

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
