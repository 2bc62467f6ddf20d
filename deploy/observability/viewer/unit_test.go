package viewer

import (
	"math"
	"slices"
	"testing"

	"example.com/pizza/deploy/observability/dashboard"
	"example.com/pizza/deploy/observability/prometheus"
)

// TestUnit checks how a value is shown beside the largest one of its graph.
func TestUnit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		panel      dashboard.Panel
		top, value float64
		want       string
	}{
		{dashboard.Panel{Unit: "s"}, 0.00042, 0.000042, "42 µs"},
		{dashboard.Panel{Unit: "s"}, 0.042, 0.0012, "1.2 ms"},
		{dashboard.Panel{Unit: "s"}, 5.5, 0.0052, "0.01 s"},
		{dashboard.Panel{Unit: "s"}, 600, 90, "1.5 min"},
		{dashboard.Panel{Unit: "s"}, 90000, 5400, "1.5 h"},
		{dashboard.Panel{Unit: "s"}, 864000, 432000, "5.0 d"},
		{dashboard.Panel{Unit: "bytes"}, 500, 12, "12 B"},
		{dashboard.Panel{Unit: "bytes"}, 40 << 20, 32<<20 + 1<<19, "32.5 MiB"},
		{dashboard.Panel{Unit: "bytes"}, 3 << 30, 1 << 30, "1.00 GiB"},
		{dashboard.Panel{Unit: "percentunit"}, 1, 0.126, "13 %"},
		{dashboard.Panel{Unit: "percentunit"}, 0.05, -0.0125, "-1.25 %"},
		{dashboard.Panel{Unit: "reqps"}, 120, 12, "12 req/s"},
		{dashboard.Panel{Unit: "ops"}, 0, 0, "0 /s"},
		{dashboard.Panel{Unit: "short"}, 2, 0.5, "0.50"},
		{dashboard.Panel{Unit: "short"}, math.NaN(), math.NaN(), "–"},
		{dashboard.Panel{Unit: "short", Whole: true}, 3, 2.9996, "3"},
		{dashboard.Panel{Unit: "short", Whole: true}, 1234567, 1234567, "1,234,567"},
		{dashboard.Panel{Unit: dashboard.Currency}, 20.5, 1234.5, "€1,234.50"},
		{dashboard.Panel{Unit: dashboard.Currency}, 0, 0, "€0.00"},
	} {
		found := []prometheus.Series{{Values: []prometheus.Value{{Value: test.top}}}}
		if got := (&Viewer{Currency: "€"}).unit(test.panel, found, nil).text(test.value); got != test.want {
			t.Errorf("%s: %v up to %v is %q, want %q", test.panel.Unit, test.value, test.top, got, test.want)
		}
	}
}

// TestUnitsAreKnown checks that no panel has a unit that only Grafana knows.
func TestUnitsAreKnown(t *testing.T) {
	t.Parallel()
	known := []string{"s", "bytes", "percentunit", "reqps", "ops", "short", dashboard.Currency}
	for _, d := range dashboard.All() {
		for _, r := range d.Rows {
			for _, p := range r.Panels {
				if p.Kind != "table" && !slices.Contains(known, p.Unit) {
					t.Errorf("%s: %s: unit %q", d.Name, p.Title, p.Unit)
				}
				if p.Whole && p.Unit != "short" {
					t.Errorf("%s: %s counts things in %q", d.Name, p.Title, p.Unit)
				}
			}
		}
	}
}

func TestLegend(t *testing.T) {
	t.Parallel()
	branches := map[string]string{"BRANCH001": "강남점"}
	for pattern, test := range map[string]struct {
		labels map[string]string
		want   string
	}{
		"p99":                  {nil, "p99"},
		"{{method}} {{route}}": {map[string]string{"method": "GET", "route": "/menu/"}, "GET /menu/"},
		"{{branch}}":           {map[string]string{"branch": "BRANCH001"}, "강남점"},
		"of {{branch}}":        {map[string]string{"branch": "BRANCH009"}, "of BRANCH009"},
		"{{route}}":            {map[string]string{"route": "BRANCH001"}, "BRANCH001"},
	} {
		if got := legend(pattern, test.labels, branches); got != test.want {
			t.Errorf("%s: %q, want %q", pattern, got, test.want)
		}
	}
}
