package app_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/logging"
	"example.com/pizza/pkg/telemetry"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/pkg/token"
	"example.com/pizza/services/order/internal/app"
	"example.com/pizza/services/order/internal/menuclient"
	"example.com/pizza/services/order/internal/quotecache"
)

// BenchmarkOrder is POST /order/ from the router to the last byte, on a real
// database and with cached prices, the default. It runs without traces, with
// all of them sent to a collector, and with a tenth of them. It reports CPU
// time, which depends less on the machine than latency does, and the
// observations per order, each at the cost that BenchmarkObserve in pkg/metric
// measures.
func BenchmarkOrder(b *testing.B) {
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	b.Cleanup(collector.Close)
	for _, c := range []struct {
		name   string
		traces telemetry.Config
	}{
		{"without_traces", telemetry.Config{}},
		{"with_traces", telemetry.Config{Endpoint: collector.URL, Sampler: "always_on"}},
		{"with_a_tenth", telemetry.Config{Endpoint: collector.URL, Sampler: "traceidratio", SamplerArg: .1}},
	} {
		b.Run(c.name, func(b *testing.B) {
			db := migrationstest.NewSeeded(b)
			config := app.Config{
				DB: pgtest.Config(b, db.URL("order_svc")), Menu: menuclient.Config{BaseURL: startMenu(b, db), Timeout: 2 * time.Second},
				Quote: quotecache.Config{MaxStale: time.Hour}, Traces: c.traces, Token: token.Config{Secret: secret},
			}
			s := newApp(b, config, logging.New(logging.Config{}, io.Discard, "order")).Server
			bearer, err := token.NewKeys(config.Token, time.Now).Issue("minji", 0, time.Hour)
			if err != nil {
				b.Fatal(err)
			}
			order := func() {
				const body = `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":2},{"name":"The Hawaiian Pizza","size":"S","quantity":1}]}`
				r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/order/", strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Authorization", "Bearer "+bearer)
				w := httptest.NewRecorder()
				s.Public().ServeHTTP(w, r)
				if w.Code != http.StatusCreated {
					b.Fatal(w.Code, w.Body)
				}
			}
			order() // connects, and loads the prices
			before, used := observations(b, s.Internal()), processor(b)
			for b.Loop() {
				order()
			}
			b.ReportMetric(float64((processor(b)-used).Microseconds())/float64(b.N), "cpu-µs/op")
			b.ReportMetric((observations(b, s.Internal())-before)/float64(b.N), "observations/op")
		})
	}
}

// processor returns the CPU time that the process has used.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// observations returns the number of histogram samples and counter increments.
func observations(b *testing.B, metrics http.Handler) (n float64) {
	b.Helper()
	w := httptest.NewRecorder()
	metrics.ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/metrics", nil))
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(w.Body)
	if err != nil {
		b.Fatal(err)
	}
	for name, f := range families {
		for _, m := range f.Metric {
			switch {
			case strings.HasPrefix(name, "go_"), strings.HasPrefix(name, "process_"), strings.HasPrefix(name, "order_revenue"):
			case f.GetType() == dto.MetricType_HISTOGRAM:
				n += float64(m.Histogram.GetSampleCount())
			case f.GetType() == dto.MetricType_COUNTER:
				n += m.Counter.GetValue()
			}
		}
	}
	return n
}
