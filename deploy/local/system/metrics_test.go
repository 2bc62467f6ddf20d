package system

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"go.opentelemetry.io/otel/trace/noop"

	"example.com/pizza/deploy/local/stack"
	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/events"
	"example.com/pizza/pkg/events/connect"
	"example.com/pizza/pkg/testkit/eventstest"
	"example.com/pizza/pkg/testkit/telemetrytest"
)

// consumers names event consumers in the table of metrics. None of our services
// consumes events.
const consumers = "consumers"

// TestMetrics compares the table of metrics with the services' metrics after a
// customer's whole journey, with every feature that has metrics enabled.
// UPDATE_METRICS=1 rewrites the table.
func TestMetrics(t *testing.T) {
	t.Parallel()
	traces, cache := telemetrytest.Start(t), miniredis.RunT(t)
	s := start(t, stack.Options{Environ: []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + traces.HTTP, "OTEL_BSP_SCHEDULE_DELAY=50", "CACHE_URL=redis://" + cache.Addr(),
		"DB_READ_HOST=127.0.0.1:1",
	}})
	told := map[string][]*dto.MetricFamily{consumers: s.consume(t)}
	s.testFlow(t)
	for _, service := range s.Services() {
		told[service.Name] = s.scrape(t, service)
	}
	mustBeWellNamed(t, told)
	mustBeNative(t, told)
	s.mustLeadToTraces(t, told["order"], traces)

	file := filepath.Join(root(t), "deploy", "observability", "metrics.md")
	documented, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(documented), "<!-- metrics -->\n")
	table, after, closed := strings.Cut(rest, "<!-- end -->")
	if !found || !closed {
		t.Fatalf("%s has no table of metrics", file)
	}
	want := tableOf(t, told)
	if os.Getenv("UPDATE_METRICS") != "" {
		if err := os.WriteFile(file, []byte(before+"<!-- metrics -->\n"+want+"<!-- end -->"+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := gocmp.Diff(strings.Split(table, "\n"), strings.Split(want, "\n")); diff != "" {
		t.Errorf("%s (-documented +told); UPDATE_METRICS=1 rewrites it:\n%s", file, diff)
	}
}

// consume consumes orders like another service. It handles the first order
// twice, and returns the consumer's metrics after that.
func (s *system) consume(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), s.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	c, err := config.Load[connect.Config](nil)
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	from, closeTransport, err := connect.Transport(c, eventstest.Config(), "books", pool, slog.New(slog.DiscardHandler), registry, noop.NewTracerProvider())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeTransport)
	seen := eventstest.Collect(t, from, "order.created")
	token := s.member(t, "bookkeeper")
	s.postJSON(t, "/order/", token, js(t, object{"branchId": s.branch(t), "lines": []object{{"pizza_id": "hawaiian_m", "quantity": 1}}})).
		want(t, http.StatusCreated)
	placed := <-seen
	if _, err := pool.Exec(t.Context(), events.InboxSchema); err != nil {
		t.Fatal(err)
	}
	inbox := events.Inbox{Table: "inbox", Consumer: "books", Duplicates: events.NewDuplicates(registry)}
	for range 2 {
		if err := inbox.Handler(pool, func(context.Context, pgx.Tx, events.Event) error { return nil })(t.Context(), placed); err != nil {
			t.Fatal(err)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// scrape scrapes a service like a Prometheus that accepts native histograms.
func (s *system) scrape(t *testing.T, service *stack.Service) []*dto.MetricFamily {
	t.Helper()
	a := s.sendTo(t, "http://"+service.Internal, request{method: http.MethodGet, path: "/metrics", unchecked: true, header: map[string]string{
		"Accept": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
	}}).want(t, http.StatusOK)
	decoder := expfmt.NewDecoder(strings.NewReader(string(a.body)), expfmt.ResponseFormat(a.header))
	var families []*dto.MetricFamily
	for {
		f := &dto.MetricFamily{}
		if err := decoder.Decode(f); err == io.EOF { //nolint:errorlint // expfmt returns it as it is
			return families
		} else if err != nil {
			t.Fatal(err)
		}
		families = append(families, f)
	}
}

// ofRuntime reports whether a metric is one of the Go runtime or the process.
// client_golang documents those.
func ofRuntime(name string) bool {
	return strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_")
}

// tableOf returns a row for each metric.
func tableOf(t *testing.T, told map[string][]*dto.MetricFamily) string {
	t.Helper()
	type row struct{ name, kind, labels, help, services string }
	rows := map[string]row{}
	for _, service := range slices.Sorted(maps.Keys(told)) {
		runtime := false
		for _, f := range told[service] {
			if ofRuntime(f.GetName()) {
				runtime = true
				continue
			}
			r := row{f.GetName(), strings.ToLower(f.GetType().String()), labelsOf(t, f), f.GetHelp(), service}
			if before, ok := rows[r.name]; ok {
				r.services = before.services + ", " + service
				if r.labels != before.labels || r.help != before.help || r.kind != before.kind {
					t.Errorf("%s is not the same in %s", r.name, r.services)
				}
			}
			rows[r.name] = r
		}
		if !runtime && service != consumers {
			t.Errorf("%s tells nothing of its runtime", service)
		}
	}
	var b strings.Builder
	b.WriteString("| metric | type | labels | told by | meaning |\n|---|---|---|---|---|\n")
	for _, r := range slices.SortedFunc(maps.Values(rows), func(a, b row) int { return cmp.Compare(a.name, b.name) }) {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", r.name, r.kind, r.labels, r.services, r.help)
	}
	return b.String()
}

// labelsOf returns the names of the labels, which all series of a metric share.
func labelsOf(t *testing.T, f *dto.MetricFamily) string {
	t.Helper()
	all := map[string]bool{}
	for _, m := range f.Metric {
		var names []string
		for _, l := range m.Label {
			names = append(names, "`"+l.GetName()+"`")
		}
		slices.Sort(names)
		all[strings.Join(names, ", ")] = true
	}
	if len(all) != 1 {
		t.Errorf("the series of %s have different labels: %v", f.GetName(), slices.Sorted(maps.Keys(all)))
	}
	return slices.Sorted(maps.Keys(all))[0]
}

// mustBeWellNamed checks names, units and help as promtool does.
func mustBeWellNamed(t *testing.T, told map[string][]*dto.MetricFamily) {
	t.Helper()
	for service, families := range told {
		problems, err := promlint.NewWithMetricFamilies(families).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s: %s", service, p.Metric, p.Text)
		}
	}
}

// mustBeNative checks that every histogram is also a native histogram.
func mustBeNative(t *testing.T, told map[string][]*dto.MetricFamily) {
	t.Helper()
	for service, families := range told {
		for _, f := range families {
			for _, m := range f.Metric {
				if h := m.Histogram; h != nil && h.Schema == nil && !ofRuntime(f.GetName()) {
					t.Errorf("%s: %s is no native histogram", service, f.GetName())
				}
			}
		}
	}
}

// mustLeadToTraces checks that the order duration has an exemplar. Its trace must
// be in the service's log and at the collector.
func (s *system) mustLeadToTraces(t *testing.T, families []*dto.MetricFamily, to *telemetrytest.Receiver) {
	t.Helper()
	var traces []string
	for _, f := range families {
		if f.GetName() != "http_server_request_duration_seconds" {
			continue
		}
		for _, m := range f.Metric {
			if !slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetName() == "route" && l.GetValue() == "/order/" }) {
				continue
			}
			for _, b := range m.Histogram.Bucket {
				for _, l := range b.Exemplar.GetLabel() {
					traces = append(traces, l.GetValue())
				}
			}
		}
	}
	if len(traces) == 0 {
		t.Fatal("no bucket of orders has an exemplar")
	}
	if log := s.logs.heard.String(); !strings.Contains(log, `"trace_id":"`+traces[0]+`"`) {
		t.Errorf("trace %s is not in the log", traces[0])
	}
	to.Await(t, func(spans []telemetrytest.Span) bool {
		return slices.ContainsFunc(spans, func(s telemetrytest.Span) bool { return s.TraceID == traces[0] && s.Name == "POST /order/" })
	})
}
