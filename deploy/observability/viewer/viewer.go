// Package viewer shows alerts, dashboards, traces and runbooks in a browser, for
// machines without Grafana. The source of the dashboards is that of Grafana's JSON.
//
//	/                    pending and firing alerts, the latest failed traces
//	/dashboards/{name}   graphs of the last 15 minutes; each point links to a trace
//	/traces, /traces/{id}
//	/docs/{path}         a Markdown page of the repository, such as a runbook
//	/static/{file}
//
// The server renders every page. The script draws the graphs, by the library uPlot
// (MIT license), and replaces what has changed on the page.
package viewer

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"time"

	"example.com/pizza/deploy/observability/dashboard"
	"example.com/pizza/deploy/observability/prometheus"
	"example.com/pizza/deploy/observability/traces"
)

var (
	//go:embed pages
	pages embed.FS
	//go:embed static
	static embed.FS
)

// Viewer serves the pages.
type Viewer struct {
	Prometheus *prometheus.Server
	Traces     *traces.Store
	Root       fs.FS  // the repository, for the runbooks
	Targets    string // stack.TargetsFile, for the names of the branches; need not exist
	Namespace  string // namespace in the graphs
	Currency   string // symbol before amounts of money; may be empty
	Hint       string // how to enable traces
}

// policy keeps the pages independent of the internet. Styles in the page are the
// positions of bars.
const policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"

// Handler returns the routes.
func (v *Viewer) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", v.page("alerts.html", v.alerts))
	mux.HandleFunc("GET /dashboards/{name}", v.page("dashboard.html", v.dashboard))
	mux.HandleFunc("GET /traces", v.page("traces.html", v.traces))
	mux.HandleFunc("GET /traces/{id}", v.page("trace.html", v.trace))
	mux.HandleFunc("GET /docs/{path...}", v.page("document.html", v.document))
	mux.Handle("GET /static/", http.FileServerFS(static))
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		mux.ServeHTTP(w, q)
	})
}

// colors is the number of colors for series, c0 and so on in page.css.
const colors = 8

var errNotFound = errors.New("page not found; old traces are evicted by newer ones")

// content is what a page shows.
type content struct {
	Title string
	Data  any
}

// page renders a template with the content that find returns.
func (v *Viewer) page(name string, find func(*http.Request) (content, error)) http.HandlerFunc {
	t := template.Must(template.New("").Funcs(template.FuncMap{
		"clock": func(t time.Time) string { return t.Local().Format("15:04:05.000") },
		"took":  func(d time.Duration) string { return unitOf("s", d.Seconds()).text(d.Seconds()) },
		"class": class, "result": result, "color": func(i int) int { return i % colors },
	}).ParseFS(pages, "pages/frame.html", "pages/tracelist.html", "pages/"+name))
	return func(w http.ResponseWriter, q *http.Request) {
		found, err := find(q)
		var b bytes.Buffer
		if err == nil {
			err = t.ExecuteTemplate(&b, "frame.html", map[string]any{
				"Dashboards": dashboard.All(), "Title": found.Title, "Data": found.Data, "Path": q.URL.Path,
			})
		}
		switch {
		case errors.Is(err, errNotFound):
			http.Error(w, err.Error(), http.StatusNotFound)
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadGateway)
		default:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = b.WriteTo(w) // fails only if the client has gone
		}
	}
}
