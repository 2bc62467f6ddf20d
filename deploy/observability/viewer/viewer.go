// Package viewer shows alerts, dashboards and traces in a browser, for machines
// without Grafana. The pages have no scripts. Their source is that of Grafana's
// JSON.
//
//	/                   firing alerts, dashboards, the latest failed traces
//	/dashboards/{name}  graphs of the last 15 minutes; each point links to a trace
//	/traces, /traces/{id}
//	/runbooks/{page}    the runbook of an alert
package viewer

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"example.com/pizza/deploy/observability/dashboard"
	"example.com/pizza/deploy/observability/prometheus"
	"example.com/pizza/deploy/observability/traces"
)

//go:embed pages/*.html
var pages embed.FS

// Viewer serves the pages.
type Viewer struct {
	Prometheus *prometheus.Server
	Traces     *traces.Store
	Folder     string // deploy/observability, for the runbooks
	Namespace  string // namespace in the graphs
	Hint       string // how to enable traces
}

// Handler returns the routes.
func (v *Viewer) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", v.page("index.html", v.index))
	mux.HandleFunc("GET /dashboards/{name}", v.page("dashboard.html", v.dashboard))
	mux.HandleFunc("GET /traces", v.page("traces.html", v.traces))
	mux.HandleFunc("GET /traces/{id}", v.page("trace.html", v.trace))
	mux.HandleFunc("GET /runbooks/{page}", func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		http.ServeFile(w, q, filepath.Join(v.Folder, "runbooks", filepath.Base(q.PathValue("page"))))
	})
	return mux
}

var errNotFound = errors.New("page not found; old traces are evicted by newer ones")

// page renders a template with the data that find returns.
func (v *Viewer) page(name string, find func(*http.Request) (any, error)) http.HandlerFunc {
	t := template.Must(template.New("").Funcs(template.FuncMap{
		"clock": func(t time.Time) string { return t.Format("15:04:05.000") },
		"round": func(d time.Duration) string { return d.Round(10 * time.Microsecond).String() },
	}).ParseFS(pages, "pages/frame.html", "pages/"+name))
	return func(w http.ResponseWriter, q *http.Request) {
		data, err := find(q)
		var b bytes.Buffer
		if err == nil {
			err = t.ExecuteTemplate(&b, "frame.html", map[string]any{"Dashboards": dashboard.All(), "Data": data})
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

func (v *Viewer) index(q *http.Request) (any, error) {
	alerts, err := v.Prometheus.Alerts(q.Context())
	if err != nil {
		return nil, err
	}
	// The Watchdog is no news to who sees the page.
	alerts = slices.DeleteFunc(alerts, func(a prometheus.Alert) bool { return a.Labels["severity"] == "none" })
	slices.SortFunc(alerts, func(a, b prometheus.Alert) int { // critical before warning, firing before pending
		return cmp.Or(cmp.Compare(a.State, b.State), cmp.Compare(a.Labels["severity"], b.Labels["severity"]), a.ActiveAt.Compare(b.ActiveAt))
	})
	failed := slices.DeleteFunc(v.Traces.Latest(), func(t traces.Trace) bool { return !t.Failed() })
	return map[string]any{"Alerts": alerts, "Failed": failed[:min(len(failed), 20)], "URL": v.Prometheus.URL}, nil
}

func (v *Viewer) traces(*http.Request) (any, error) {
	latest := v.Traces.Latest()
	return map[string]any{"Traces": latest[:min(len(latest), 200)], "Hint": v.Hint}, nil
}

// step is a span as a bar in its trace.
type step struct {
	traces.Span
	Depth       int
	Left, Width float64 // percent of the trace
}

func (v *Viewer) trace(q *http.Request) (any, error) {
	t, ok := v.Traces.Trace(q.PathValue("id"))
	if !ok {
		return nil, errNotFound
	}
	took := max(t.Took(), time.Microsecond)
	depth := map[string]int{}
	steps := make([]step, len(t.Spans))
	for i, s := range t.Spans {
		if d, inside := depth[s.Parent]; inside {
			depth[s.ID] = d + 1
		} else {
			depth[s.ID] = 0
		}
		steps[i] = step{
			Span: s, Depth: depth[s.ID],
			Left:  100 * float64(s.Begin.Sub(t.Begin())) / float64(took),
			Width: max(0.2, 100*float64(s.End.Sub(s.Begin))/float64(took)),
		}
	}
	return map[string]any{"Trace": t, "Steps": steps}, nil
}

func (v *Viewer) dashboard(q *http.Request) (any, error) {
	all := dashboard.All()
	i := slices.IndexFunc(all, func(d dashboard.Dashboard) bool { return d.Name == q.PathValue("name") })
	if i < 0 {
		return nil, errNotFound
	}
	type row struct {
		Title string
		Plots []plot
	}
	var rows []row
	for _, r := range all[i].Rows {
		shown := row{Title: r.Title}
		for _, p := range r.Panels {
			plot, err := v.plot(q.Context(), p, time.Now())
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.Title, err)
			}
			shown.Plots = append(shown.Plots, plot)
		}
		rows = append(rows, shown)
	}
	return map[string]any{"Title": all[i].Title, "Rows": rows}, nil
}
