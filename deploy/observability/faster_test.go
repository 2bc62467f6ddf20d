package observability_test

import (
	"testing"

	"example.com/pizza/deploy/observability"
)

// Only times change.
func TestFaster(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, out string }{
		{`sum(rate(a_total[1h])) * 3600 > 10`, `sum(rate(a_total[3s])) * 3600 > 10`},
		{`rate(a_total[5m]) > 0.05`, `rate(a_total[2s]) > 0.05`},
		{`max by (job) (lag_seconds) > 3600`, `max by (job) (lag_seconds) > 3`},
		{`lag_seconds > 30`, `lag_seconds > 2`},
		{`min_over_time((max(waiting))[2m:15s]) > 0`, `min_over_time((max(waiting))[2s:250ms]) > 0`},
	} {
		f, err := observability.Faster(observability.RuleFile{Groups: []observability.Group{{
			Rules: []observability.Rule{{Alert: "A", Expr: c.in, For: "10m"}},
		}}}, 1200)
		if err != nil {
			t.Fatal(err)
		}
		if r := f.Groups[0].Rules[0]; r.Expr != c.out || r.For != "500ms" {
			t.Errorf("%s became %s for %s, want %s for 500ms", c.in, r.Expr, r.For, c.out)
		}
	}
}
