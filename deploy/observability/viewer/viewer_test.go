package viewer_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/html"

	"example.com/pizza/deploy/local/stack"
	"example.com/pizza/deploy/observability"
	"example.com/pizza/deploy/observability/dashboard"
	"example.com/pizza/deploy/observability/prometheus"
	"example.com/pizza/deploy/observability/tool"
	"example.com/pizza/deploy/observability/viewer"
)

// TestPages serves every page with data from traces and a real Prometheus, which
// scrapes an order service with one branch.
func TestPages(t *testing.T) {
	t.Parallel()
	v := start(t)
	want := map[string]string{
		"/":                       "POST /order/",
		"/?":                      `<a href="` + runbooks + `ErrorBudgetBurns`, // each order fails
		"/traces":                 "POST /order/",
		"/traces/" + traceID:      "InsertOrder",
		"/dashboards/unheard-of":  "page not found",
		"/traces/unheard-of":      "page not found",
		"/docs/unheard-of.md":     "page not found",
		"/docs/go.work":           "page not found",
		"/docs/..%2Fsecret.md":    "page not found",
		"/static/page.js":         "uPlot",
		"/static/uPlot.LICENSE":   "MIT License",
		"/static/unheard-of.html": "404",
		runbooks + "Watchdog.md":  `<h2 id="mitigation">`,
	}
	for _, d := range dashboard.All() {
		want["/dashboards/"+d.Name] = "<h1>" + d.Title
	}
	for path, text := range want {
		w := get(v, path)
		for path == "/?" && !strings.Contains(w.Body.String(), text) {
			w = get(v, path) // until the rules were evaluated
		}
		found := text != "404" && text != "page not found"
		if !strings.Contains(w.Body.String(), text) || (w.Code == http.StatusOK) != found {
			t.Errorf("%s: %d without %q:\n%s", path, w.Code, text, w.Body)
		}
		if policy := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'self'; ") {
			t.Errorf("%s may load from elsewhere: %q", path, policy)
		}
		if found && !strings.HasPrefix(path, "/static/") {
			testAccess(t, path, w.Body.String())
		}
	}
	testPlots(t, v)
}

// testPlots checks the values on the dashboards against those that were scraped.
func testPlots(t *testing.T, v http.Handler) {
	t.Helper()
	var page string
	for !strings.Contains(page, "강남점") {
		page = get(v, "/dashboards/business").Body.String()
	}
	panels := figures(t, page)
	orders := panels["Orders per second"]
	if !orders.Graph.Stacked || orders.Graph.Unit.Suffix != " /s" || !orders.has("강남점") {
		t.Errorf("orders per second: %+v", orders)
	}
	if last := orders.Graph.Values[0][len(orders.Graph.Times)-1]; last == nil || *last <= 0 {
		t.Error("orders per second: the latest value is missing")
	}
	if step := orders.Graph.Times[1] - orders.Graph.Times[0]; step != 5 || orders.Graph.Times[0]%5 != 0 {
		t.Errorf("orders per second: times %v", orders.Graph.Times)
	}
	for panel, want := range map[string]string{"Orders": `\d+`, "Revenue": `\$\d+\.\d\d`, "New members": ``} {
		if text := strings.Join(panels[panel].Values, ""); !regexp.MustCompile(`^` + want + `$`).MatchString(text) {
			t.Errorf("%s: %q, want %s", panel, text, want)
		}
	}
	duration := figures(t, get(v, "/dashboards/order").Body.String())["Duration"]
	if !duration.has("p50") || !duration.has("p95") || !duration.has("p99") || duration.Graph.Unit.Suffix != " ms" {
		t.Errorf("duration: %+v", duration)
	}
	dots := duration.Graph.Traces
	if len(dots) != 1 || dots[0].Trace != traceID || dots[0].Text != "42.0 ms" || dots[0].Value != 42 {
		t.Errorf("duration: traces %+v", dots)
	}
}

const runbooks = "/docs/deploy/observability/runbooks/"

// TestRunbooks checks that each runbook is rendered, and that its links to other
// pages work.
func TestRunbooks(t *testing.T) {
	t.Parallel()
	root, err := tool.Root()
	if err != nil {
		t.Fatal(err)
	}
	v := (&viewer.Viewer{Root: os.DirFS(root)}).Handler()
	files, err := filepath.Glob(filepath.Join(root, "deploy", "observability", "runbooks", "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		path := runbooks + filepath.Base(file)
		page := get(v, path).Body.String()
		for _, part := range []string{"meaning", "impact", "diagnosis", "mitigation"} {
			if !strings.Contains(page, `<h2 id="`+part+`">`) {
				t.Errorf("%s: %s is not rendered", path, part)
			}
		}
		testAccess(t, path, page)
		for _, link := range regexp.MustCompile(`<a href="([^":]+\.md)(#[^"]+)?">`).FindAllStringSubmatch(page, -1) {
			to := link[1]
			if !strings.HasPrefix(to, "/") {
				to = filepath.Join(runbooks, to)
			}
			linked, id := get(v, to), strings.TrimPrefix(link[2], "#")
			if linked.Code != http.StatusOK || !strings.Contains(linked.Body.String(), `id="`+id) {
				t.Errorf("%s: %s: %d", path, link[0], linked.Code)
			}
		}
	}
}

// start starts a viewer of a Prometheus that scrapes an order service. Each of its
// requests failed.
func start(t *testing.T) http.Handler {
	t.Helper()
	program, err := tool.Build(t.Context(), "prometheus", t.Output())
	if err != nil {
		t.Fatal(err)
	}
	root, err := tool.Root()
	if err != nil {
		t.Fatal(err)
	}
	targets := filepath.Join(t.TempDir(), "targets.json")
	address := order(t)
	b, err := json.Marshal([]stack.Targets{{Targets: []string{address}, Labels: map[string]string{
		"job": "order", "namespace": "local", stack.PublicLabel: address,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(targets, b, 0o600); err != nil {
		t.Fatal(err)
	}
	server, err := prometheus.Start(t.Context(), prometheus.Options{
		Program: program, Folder: t.TempDir(), Targets: targets, Every: time.Second, Address: "127.0.0.1:0", Log: t.Output(),
		Rules: filepath.Join(root, observability.Rules, "*.yaml"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return (&viewer.Viewer{
		Prometheus: server, Traces: received(t, failed), Root: os.DirFS(root), Targets: targets,
		Namespace: "local", Currency: "$", Hint: "none yet",
	}).Handler()
}

// order serves the metrics and the branches of an order service. Each scrape finds
// ten more orders, and the trace of one.
func order(t *testing.T) (address string) {
	t.Helper()
	var orders atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
		_, _ = fmt.Fprintf(w, `# TYPE order_placed counter
order_placed_total{branch="BRANCH001"} %[1]d
# TYPE order_revenue counter
order_revenue_total{branch="BRANCH001"} %[1]d.75
# TYPE http_server_request_duration_seconds histogram
http_server_request_duration_seconds_bucket{route="/order/",method="POST",status="5xx",le="0.05"} %[1]d %[2]s
http_server_request_duration_seconds_bucket{route="/order/",method="POST",status="5xx",le="+Inf"} %[1]d
http_server_request_duration_seconds_count{route="/order/",method="POST",status="5xx"} %[1]d
http_server_request_duration_seconds_sum{route="/order/",method="POST",status="5xx"} %[1]d
# EOF
`, 10*orders.Add(1), `# {trace_id="`+traceID+`"} 0.042`)
	})
	mux.HandleFunc("GET /order/branch/", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `[{"bran_id":"BRANCH001","bran_nm":"강남점"}]`)
	})
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	return web.Listener.Addr().String()
}

func get(v http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	v.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

// panel is a panel of a dashboard as a page shows it.
type panel struct {
	Names, Values []string
	Graph         struct {
		Unit    struct{ Suffix string }
		Stacked bool
		Times   []int64
		Values  [][]*float64
		Traces  []struct {
			Value       float64
			Text, Trace string
		}
	}
}

func (p panel) has(name string) bool { return strings.Contains(strings.Join(p.Names, "\n"), name) }

// figures returns the panels of a page by title, the first of each.
func figures(t *testing.T, page string) map[string]panel {
	t.Helper()
	all := map[string]panel{}
	for figure := range elements(parse(t, page), "figure") {
		var p panel
		for plot := range elements(figure, "div") {
			if data := attribute(plot, "data-graph"); data != "" {
				if err := json.Unmarshal([]byte(data), &p.Graph); err != nil {
					t.Fatal(err)
				}
			}
		}
		for cell := range elements(figure, "td") {
			p.Names = append(p.Names, text(cell))
		}
		for value := range elements(figure, "dd") {
			p.Values = append(p.Values, text(value))
		}
		for caption := range elements(figure, "figcaption") {
			if title := strings.TrimSpace(caption.FirstChild.Data); all[title].Names == nil && all[title].Values == nil {
				all[title] = p
			}
		}
	}
	return all
}

func parse(t *testing.T, page string) *html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return root
}
