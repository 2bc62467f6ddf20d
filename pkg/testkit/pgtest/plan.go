package pgtest

import (
	"encoding/json"
	"testing"

	"github.com/jackc/pgx/v5"
)

// plan is a node of EXPLAIN (FORMAT JSON).
type plan struct {
	Node     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Rows     float64 `json:"Actual Rows"`
	Removed  float64 `json:"Rows Removed by Filter"`
	Hit      int     `json:"Shared Hit Blocks"`
	Read     int     `json:"Shared Read Blocks"`
	Plans    []plan
}

// Bounded runs a statement and rolls it back. It fails the test if the plan scans a
// table of more than 1000 rows, or if the statement reads more than pages pages.
// These include pages that triggers and functions read, whose plans EXPLAIN does
// not show.
func Bounded(tb testing.TB, conn *pgx.Conn, pages int, sql string, args ...any) {
	tb.Helper()
	tx, err := conn.Begin(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = tx.Rollback(tb.Context()) }()
	var text []byte
	if err := tx.QueryRow(tb.Context(), "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+sql, args...).Scan(&text); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
	var explained []struct{ Plan plan }
	if err := json.Unmarshal(text, &explained); err != nil {
		tb.Fatal(err)
	}
	top := explained[0].Plan
	if relation := top.scanned(); relation != "" {
		tb.Errorf("%s\nscans %s:\n%s", sql, relation, text)
	}
	if n := top.Hit + top.Read; n > pages {
		tb.Errorf("%s\nreads %d pages, not %d at most:\n%s", sql, n, pages, text)
	}
	tb.Logf("%d of %d pages: %.60q", top.Hit+top.Read, pages, sql)
}

// scanned returns a large table that the plan scans sequentially, or "".
func (p plan) scanned() string {
	if p.Node == "Seq Scan" && p.Rows+p.Removed > 1000 {
		return p.Relation
	}
	for _, part := range p.Plans {
		if relation := part.scanned(); relation != "" {
			return relation
		}
	}
	return ""
}
