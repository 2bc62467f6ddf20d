package live

import (
	"strings"
	"testing"
	"time"

	"example.com/pizza/deploy/observability"
	"example.com/pizza/deploy/observability/dashboard"
)

// testPanels runs every dashboard query. After all faults, only queries for foreign
// metrics and for events that did not occur may be empty.
func (s *system) testPanels(t *testing.T) {
	foreign := observability.Foreign()
	for _, d := range dashboard.All() {
		for _, r := range d.Rows {
			for _, p := range r.Panels {
				for _, q := range p.Queries {
					query := dashboard.Fill(q.Expr, "local", "5m")
					reads, err := observability.Reads(query)
					if err != nil {
						t.Fatal(err)
					}
					name := reads[0].Metric
					if m, others := foreign[name]; others && (m.ToldBy == "postgres_exporter" || name == "ALERTS" || strings.HasPrefix(name, "go_gc_")) {
						continue
					}
					now := time.Now()
					found, err := s.watch.Range(t.Context(), query, now.Add(-5*time.Minute), now, time.Second)
					if err != nil {
						t.Errorf("%s, %s: %v", d.Name, p.Title, err)
					} else if len(found) == 0 {
						t.Errorf("%s, %s: nothing for %s", d.Name, p.Title, query)
					}
				}
			}
		}
	}
}
