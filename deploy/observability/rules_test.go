package observability_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"example.com/pizza/deploy/observability"
	"example.com/pizza/deploy/observability/tool"
)

// root is the root of the repository.
const root = "../.."

// runbooks is the base of runbook_url. Charts may replace it.
const runbooks = "https://example.com/pizza/deploy/observability/runbooks/"

// alerts returns all alerts by name.
func alerts(t *testing.T) map[string]observability.Rule {
	t.Helper()
	files, err := observability.ReadRules(filepath.Join(root, observability.Rules))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]observability.Rule{}
	for _, f := range files {
		for _, g := range f.Groups {
			for _, r := range g.Rules {
				if r.Alert == "" {
					continue
				}
				if _, twice := found[r.Alert]; twice {
					t.Errorf("there are two alerts %s", r.Alert)
				}
				found[r.Alert] = r
			}
		}
	}
	if len(found) == 0 {
		t.Fatal("there are no alerts")
	}
	return found
}

// Each alert has a severity, a description and a runbook.
func TestAlerts(t *testing.T) {
	t.Parallel()
	for name, a := range alerts(t) {
		allowed := []string{"critical", "warning"}
		if name == "Watchdog" {
			allowed = []string{"none"} // its coming is no alarm
		}
		if s := a.Labels["severity"]; !slices.Contains(allowed, s) {
			t.Errorf("%s: the severity is %q, not of %q", name, s, allowed)
		}
		for _, annotation := range []string{"summary", "description"} {
			if a.Annotations[annotation] == "" {
				t.Errorf("%s has no %s", name, annotation)
			}
		}
		if got, want := a.Annotations["runbook_url"], runbooks+name+".md"; got != want {
			t.Errorf("%s: runbook_url is %s, want %s", name, got, want)
		}
	}
}

// Each alert has a runbook with the same sections, and each runbook an alert.
func TestRunbooks(t *testing.T) {
	t.Parallel()
	known := alerts(t)
	for name := range known {
		page, err := os.ReadFile(filepath.Join("runbooks", name+".md"))
		if err != nil {
			t.Error(err)
			continue
		}
		var headings []string
		for line := range strings.Lines(string(page)) {
			if strings.HasPrefix(line, "# ") || strings.HasPrefix(line, "## ") {
				headings = append(headings, strings.TrimSpace(line))
			}
		}
		if want := []string{"# " + name, "## Meaning", "## Impact", "## Diagnosis", "## Mitigation"}; !slices.Equal(headings, want) {
			t.Errorf("%s.md: the headings are %q, want %q", name, headings, want)
		}
		if _, diagnosis, _ := strings.Cut(string(page), "## Diagnosis"); !strings.Contains(diagnosis, "\n```") {
			t.Errorf("%s.md: the diagnosis has no commands", name)
		}
	}
	pages, err := filepath.Glob("runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if _, ok := known[strings.TrimSuffix(filepath.Base(page), ".md")]; !ok {
			t.Errorf("%s is of no alert", page)
		}
	}
}

// tests is the alert part of a unit test file.
type tests struct {
	Tests []struct {
		AlertRuleTest []struct {
			AlertName string `json:"alertname"`
			ExpAlerts []any  `json:"exp_alerts"`
		} `json:"alert_rule_test"`
	} `json:"tests"`
}

// The rules are valid and pass their unit tests, which cover each alert firing
// and staying quiet; the Watchdog only fires.
func TestRules(t *testing.T) {
	t.Parallel()
	promtool, err := tool.Build(t.Context(), "promtool", t.Output())
	if err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Glob(filepath.Join(root, observability.Rules, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("tests/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{append([]string{"check", "rules"}, rules...), append([]string{"test", "rules"}, files...)} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", args[0], err, out)
		}
	}

	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var f tests
		if err := yaml.Unmarshal(b, &f); err != nil {
			t.Fatal(err)
		}
		for _, test := range f.Tests {
			for _, a := range test.AlertRuleTest {
				fires[a.AlertName] = fires[a.AlertName] || len(a.ExpAlerts) > 0
				quiet[a.AlertName] = quiet[a.AlertName] || len(a.ExpAlerts) == 0
			}
		}
	}
	for name := range alerts(t) {
		if !fires[name] || quiet[name] == (name == "Watchdog") { // which is never quiet
			t.Errorf("%s: a test makes it fire: %t, a test keeps it quiet: %t", name, fires[name], quiet[name])
		}
	}
}

// slo.md and the rules have the same numbers.
func TestObjectives(t *testing.T) {
	t.Parallel()
	files, err := observability.ReadRules(filepath.Join(root, observability.Rules))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("slo.md")
	if err != nil {
		t.Fatal(err)
	}
	objectives := map[string]string{} // by service and kind, such as 0.999
	var fast string
	for _, g := range files["slo.yaml"].Groups {
		for _, r := range g.Rules {
			if r.Record == "slo:objective:ratio" {
				objectives[r.Labels["job"]+" "+r.Labels["slo"]] = strings.TrimSuffix(strings.TrimPrefix(r.Expr, "vector("), ")")
			}
			fast += r.Expr
		}
	}
	for _, row := range []struct{ service, availability, latency, threshold, le string }{
		{"login", "99.9 %", "99 %", "1 s", `job="login", route!~"/healthz|/livez|/metrics", status!="5xx", le=~"1|1.0"`},
		{"menu", "99.95 %", "99 %", "100 ms", `job="menu", route!~"/healthz|/livez|/metrics", status!="5xx", le="0.1"`},
		{"order", "99.9 %", "99 %", "500 ms", `job="order", route!~"/healthz|/livez|/metrics", status!="5xx", le="0.5"`},
	} {
		want := fmt.Sprintf("| `%s` | %s | %s of requests within %s |", row.service, row.availability, row.latency, row.threshold)
		if !strings.Contains(string(page), want) {
			t.Errorf("slo.md does not say %q", want)
		}
		if !strings.Contains(fast, row.le) {
			t.Errorf("slo.yaml has no bucket of %s for %s", row.threshold, row.service)
		}
		for kind, percent := range map[string]string{"availability": row.availability, "latency": row.latency} {
			want := "0." + strings.ReplaceAll(strings.TrimSuffix(percent, " %"), ".", "")
			if got := objectives[row.service+" "+kind]; got != want {
				t.Errorf("slo.yaml has %q for the %s of %s, want %s", got, kind, row.service, want)
			}
		}
	}
}
