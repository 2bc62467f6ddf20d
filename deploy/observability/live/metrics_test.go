package live

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"example.com/pizza/deploy/observability"
)

// testMetrics holds metrics.txt to what the services expose after all of that.
func (s *system) testMetrics(t *testing.T) {
	found := map[string]string{} // the lines of the file, without their services, and those
	for _, service := range []string{"login", "menu", "order"} {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Service(service).Internal+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.web.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(r.Body)
		r.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		for name, f := range families {
			line := name + " " + strings.ToLower(f.GetType().String())
			found[line] = strings.TrimSpace(found[line] + " " + service)
		}
	}
	want := map[string]string{}
	for line := range strings.Lines(observability.MetricsFile()) {
		fields := strings.SplitN(strings.TrimSpace(line), " ", 3)
		want[fields[0]+" "+fields[1]] = fields[2]
	}
	for _, line := range slices.Sorted(maps.Keys(found)) {
		if want[line] == "" && !strings.HasPrefix(line, "go_") && !strings.HasPrefix(line, "process_") {
			t.Errorf("metrics.txt does not have: %s %s", line, found[line])
		}
	}
	for _, line := range slices.Sorted(maps.Keys(want)) {
		if found[line] != want[line] {
			t.Errorf("metrics.txt has %s of %q, which is of %q", line, want[line], found[line])
		}
	}
}
