package takeover_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// mustGoOn asks the queries of docs/takeover.md whether the next step may begin. Both
// sides must have placed orders if both have weight.
func mustGoOn(t *testing.T, db *pgxpool.Pool, both bool) {
	t.Helper()
	for _, row := range ask(t, db, "passwords") {
		if row["readable_by"] == "services only" && row["count"] != int64(1) { // the demonstration's member
			t.Errorf("passwords that the old system cannot read: %v", row)
		}
	}
	placed := ask(t, db, "orders")
	for _, row := range placed {
		if row["without_total"] != int64(0) {
			t.Errorf("orders without a total: %v", row)
		}
	}
	if both && len(placed) != 2 {
		t.Errorf("orders of %v, want both sides", placed)
	}
}

// ask runs a query of docs/takeover.md by its name, and returns its rows.
func ask(t *testing.T, db *pgxpool.Pool, name string) []map[string]any {
	t.Helper()
	page, err := os.ReadFile("../../docs/takeover.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)<!-- query: " + name + " -->\n```sql\n(.*?)```").FindSubmatch(page)
	if found == nil {
		t.Fatalf("docs/takeover.md has no query %q", name)
	}
	rows, err := db.Query(t.Context(), string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToMap)
	if err != nil {
		t.Fatalf("query %q: %v", name, err)
	}
	return list
}
