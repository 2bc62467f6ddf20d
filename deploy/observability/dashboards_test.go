package observability_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/pizza/deploy/observability"
	"example.com/pizza/deploy/observability/dashboard"
)

// known returns all metrics that a query may name: exposed, or recorded by a rule.
func known(t *testing.T) map[string]string {
	t.Helper()
	names := observability.Exposed()
	for name, who := range observability.Foreign() {
		if services := names[name]; services != "" {
			t.Errorf("%s is of %s, not of %s", name, services, who)
		}
		names[name] = who
	}
	files, err := observability.ReadRules("rules")
	if err != nil {
		t.Fatal(err)
	}
	for file, f := range files {
		for _, g := range f.Groups {
			for _, r := range g.Rules {
				if r.Record != "" {
					names[r.Record] = file
				}
			}
		}
	}
	return names
}

// Rules read only what is there. (What they are evaluated to, promtool tests.)
func TestRulesReadWhatIsExposed(t *testing.T) {
	t.Parallel()
	there := known(t)
	files, err := observability.ReadRules("rules")
	if err != nil {
		t.Fatal(err)
	}
	for file, f := range files {
		for _, g := range f.Groups {
			for _, r := range g.Rules {
				mustRead(t, file+" "+r.Alert+r.Record, r.Expr, there)
			}
		}
	}
}

// mustRead checks that Prometheus takes a query, and that it names only metrics that are there.
func mustRead(t *testing.T, what, query string, there map[string]string) {
	t.Helper()
	names, err := observability.Metrics(query)
	if err != nil {
		t.Errorf("%s: %v\n%s", what, err, query)
	}
	for _, name := range names {
		if there[name] == "" {
			t.Errorf("%s: nobody exposes %s", what, name)
		}
	}
}

// Each query of each dashboard is one that Prometheus takes, and names only metrics
// that are there; the files are what the source says.
func TestDashboards(t *testing.T) {
	t.Parallel()
	there := known(t)
	grafana := strings.NewReplacer("$__rate_interval", "5m", "$namespace", "pizza-prod")
	files := map[string]bool{}
	for _, d := range dashboard.All() {
		want, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("dashboards", d.Name+".json")
		files[path] = true
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what its source says (make generate): %v", path, err)
		}
		mustRead(t, d.Name+": roll-outs", grafana.Replace(dashboard.Rollouts), there)
		for _, r := range d.Rows {
			if len(r.Panels) == 0 || len(r.Panels) > 6 {
				t.Errorf("%s: %d panels in the row %q", d.Name, len(r.Panels), r.Title)
			}
			for _, p := range r.Panels {
				for _, q := range p.Queries {
					mustRead(t, d.Name+": "+p.Title, grafana.Replace(q.Expr), there)
				}
			}
		}
	}
	found, err := filepath.Glob("dashboards/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		if !files[path] {
			t.Errorf("%s has no source", path)
		}
	}
}

// A service's own dashboard is asked for its own metrics: those of others are on other pages.
func TestDashboardsAskTheRightService(t *testing.T) {
	t.Parallel()
	exposed := observability.Exposed()
	for _, d := range dashboard.All() {
		for _, r := range d.Rows {
			for _, p := range r.Panels {
				for _, q := range p.Queries {
					names, err := observability.Metrics(strings.NewReplacer("$__rate_interval", "5m").Replace(q.Expr))
					if err != nil {
						t.Fatal(err)
					}
					for _, job := range []string{"login", "menu", "order"} {
						if !strings.Contains(q.Expr, `job="`+job+`"`) {
							continue
						}
						for _, name := range names {
							if services, ok := exposed[name]; ok && !strings.Contains(services, job) {
								t.Errorf("%s: %s: %s has no %s", d.Name, p.Title, job, name)
							}
						}
					}
				}
			}
		}
	}
}
