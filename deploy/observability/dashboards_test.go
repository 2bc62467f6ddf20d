package observability_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/pizza/deploy/observability"
	"example.com/pizza/deploy/observability/dashboard"
)

// known returns all metrics that a query may read: exposed or recorded by a rule.
func known(t *testing.T) map[string]observability.Metric {
	t.Helper()
	metrics := observability.Exposed()
	if len(metrics) == 0 {
		t.Fatal("metrics.md has no table")
	}
	maps.Copy(metrics, observability.Foreign())
	files, err := observability.ReadRules(filepath.Join(root, observability.Rules))
	if err != nil {
		t.Fatal(err)
	}
	for file, f := range files {
		for _, g := range f.Groups {
			for _, r := range g.Rules {
				if r.Record != "" {
					metrics[r.Record] = observability.Metric{ToldBy: file}
				}
			}
		}
	}
	return metrics
}

// mustRead checks that a query is valid, and that it reads only existing metrics
// and labels.
func mustRead(t *testing.T, what, query string, there map[string]observability.Metric) {
	t.Helper()
	reads, err := observability.Reads(query)
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	for _, r := range reads {
		m, ok := there[r.Metric]
		if !ok {
			t.Errorf("%s: nobody tells %s", what, r.Metric)
		}
		if m.Labels == nil {
			continue
		}
		for _, label := range r.Labels {
			if !slices.Contains(m.Labels, label) && !slices.Contains([]string{"namespace", "job", "instance", "le"}, label) {
				t.Errorf("%s: %s has no label %s", what, r.Metric, label)
			}
		}
	}
}

// Rules read only existing metrics. Their results are tested by promtool.
func TestRulesReadWhatIsThere(t *testing.T) {
	t.Parallel()
	there := known(t)
	files, err := observability.ReadRules(filepath.Join(root, observability.Rules))
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

// Each dashboard query is valid and reads only existing metrics, and the files
// match the source.
func TestDashboards(t *testing.T) {
	t.Parallel()
	there := known(t)
	files := map[string]bool{}
	for _, d := range dashboard.All() {
		want, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(root, observability.Dashboards, d.Name+".json")
		files[path] = true
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what its source says (make generate): %v", path, err)
		}
		mustRead(t, d.Name+": roll-outs", dashboard.Fill(dashboard.Rollouts, "pizza-prod", "5m"), there)
		for _, p := range panels(d) {
			for _, q := range p.Queries {
				mustRead(t, d.Name+": "+p.Title, dashboard.Fill(q.Expr, "pizza-prod", "5m"), there)
			}
		}
	}
	found, err := filepath.Glob(filepath.Join(root, observability.Dashboards, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		if !files[path] {
			t.Errorf("%s has no source", path)
		}
	}
}

// A panel for one service reads metrics of that service.
func TestDashboardsAskTheRightService(t *testing.T) {
	t.Parallel()
	exposed := observability.Exposed()
	for _, d := range dashboard.All() {
		for _, p := range panels(d) {
			for _, q := range p.Queries {
				reads, err := observability.Reads(dashboard.Fill(q.Expr, "pizza-prod", "5m"))
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range reads {
					_, after, one := strings.Cut(q.Expr, `job="`)
					job, _, _ := strings.Cut(after, `"`)
					if m, ours := exposed[r.Metric]; one && ours && !strings.Contains(m.ToldBy, job) {
						t.Errorf("%s: %s: %s does not tell %s", d.Name, p.Title, job, r.Metric)
					}
				}
			}
		}
	}
}

func panels(d dashboard.Dashboard) []dashboard.Panel {
	var all []dashboard.Panel
	for _, r := range d.Rows {
		all = append(all, r.Panels...)
	}
	return all
}
