package viewer

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"example.com/pizza/deploy/observability/dashboard"
	"example.com/pizza/deploy/observability/prometheus"
)

// Time and resolution of a graph, and its number of points that lead to traces: the
// slowest requests.
const (
	dots   = 50
	span   = 15 * time.Minute
	points = 180
	step   = span / points
)

// plot is a panel with its values.
type plot struct {
	dashboard.Panel
	Series  []series
	Columns []string   // of a table
	Cells   [][]string // of a table
	Graph   string     // graph in JSON
}

// series is a line of a graph, or the value of a stat.
type series struct{ Name, Last, Max string }

// graph is what the script draws. Values are in the unit of the panel, and null
// where there is none.
type graph struct {
	Unit    unit         `json:"unit"`
	Whole   bool         `json:"whole"`
	Stacked bool         `json:"stacked"`
	Times   []int64      `json:"times"` // Unix time in seconds
	Values  [][]*float64 `json:"values"`
	Traces  []dot        `json:"traces"`
}

// dot is a request among the exemplars of a histogram.
type dot struct {
	At    float64 `json:"at"`
	Value float64 `json:"value"`
	Text  string  `json:"text"`
	Trace string  `json:"trace"`
}

func (v *Viewer) dashboard(q *http.Request) (content, error) {
	all := dashboard.All()
	i := slices.IndexFunc(all, func(d dashboard.Dashboard) bool { return d.Name == q.PathValue("name") })
	if i < 0 {
		return content{}, errNotFound
	}
	type row struct {
		Title string
		Plots []plot
	}
	branches, now := v.branches(q.Context()), time.Now() // the same for all panels
	var rows []row
	for _, r := range all[i].Rows {
		shown := row{Title: r.Title}
		for _, p := range r.Panels {
			plot, err := v.plot(q.Context(), p, branches, now)
			if err != nil {
				return content{}, fmt.Errorf("%s: %w", p.Title, err)
			}
			shown.Plots = append(shown.Plots, plot)
		}
		rows = append(rows, shown)
	}
	return content{all[i].Title, rows}, nil
}

// plot queries the values of a panel up to now. names has the names of branches.
func (v *Viewer) plot(ctx context.Context, p dashboard.Panel, names map[string]string, now time.Time) (plot, error) {
	to := now.Truncate(step)
	from := to.Add(-span)
	var found []prometheus.Series
	var legends []string
	var exemplars []prometheus.Exemplar
	for _, q := range p.Queries {
		query := dashboard.Fill(q.Expr, v.Namespace, "1m")
		some, err := v.Prometheus.Range(ctx, query, from, to, step)
		if err != nil {
			return plot{}, err
		}
		for _, s := range some {
			if p.Kind == "" || s.Values[len(s.Values)-1].At.Equal(to) { // else it has ended
				found, legends = append(found, s), append(legends, legend(q.Legend, s.Labels, names))
			}
		}
		if strings.Contains(query, "_bucket") && len(exemplars) == 0 {
			if exemplars, err = v.Prometheus.Exemplars(ctx, query, from, to); err != nil {
				return plot{}, err
			}
		}
	}
	shown := plot{Panel: p}
	if p.Kind == "table" {
		shown.Columns, shown.Cells = table(found)
		return shown, nil
	}
	exemplars = slices.DeleteFunc(exemplars, func(e prometheus.Exemplar) bool {
		return !v.Traces.Has(e.Labels["trace_id"])
	})
	slices.SortFunc(exemplars, func(a, b prometheus.Exemplar) int { return cmp.Compare(b.Value, a.Value) })
	exemplars = exemplars[:min(len(exemplars), dots)]
	u := v.unit(p, found, exemplars)
	drawn := graph{Unit: u, Whole: p.Whole, Stacked: p.Stacked}
	for at := from; !at.After(to); at = at.Add(step) {
		drawn.Times = append(drawn.Times, at.Unix())
	}
	for i, s := range found {
		values, last, top := make([]*float64, points+1), math.NaN(), math.Inf(-1)
		for _, value := range s.Values {
			if at := int(value.At.Sub(from) / step); finite(value.Value) && at >= 0 && at <= points {
				scaled := value.Value * u.Scale
				values[at] = &scaled
				last, top = value.Value, max(top, value.Value)
			}
		}
		shown.Series = append(shown.Series, series{legends[i], u.text(last), u.text(top)})
		drawn.Values = append(drawn.Values, values)
	}
	for _, e := range exemplars {
		drawn.Traces = append(drawn.Traces, dot{
			At: float64(e.At.UnixMilli()) / 1000, Value: e.Value * u.Scale,
			Text: unitOf(p.Unit, e.Value).text(e.Value), Trace: e.Labels["trace_id"],
		})
	}
	b, err := json.Marshal(drawn)
	shown.Graph = string(b)
	return shown, err
}

// unit chooses the unit by the largest value that is shown.
func (v *Viewer) unit(p dashboard.Panel, found []prometheus.Series, exemplars []prometheus.Exemplar) unit {
	top := 0.0
	for _, s := range found {
		for _, value := range s.Values {
			if finite(value.Value) {
				top = max(top, math.Abs(value.Value))
			}
		}
	}
	for _, e := range exemplars {
		top = max(top, e.Value)
	}
	u := unitOf(p.Unit, top)
	switch {
	case p.Whole:
		u.Decimals = 0
	case p.Unit == dashboard.Currency:
		u.Prefix, u.Decimals = v.Currency, 2
	}
	return u
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

var placeholder = regexp.MustCompile(`{{(\w+)}}`)

// legend fills a legend like Grafana, with the names of branches in place of their
// ids.
func legend(text string, labels, branches map[string]string) string {
	return placeholder.ReplaceAllStringFunc(text, func(p string) string {
		value := labels[p[2:len(p)-2]]
		if name := branches[value]; name != "" && p == "{{branch}}" {
			return name
		}
		return value
	})
}

// table returns the labels of series, like a table of Grafana.
func table(found []prometheus.Series) (columns []string, cells [][]string) {
	labels := map[string]bool{}
	for _, s := range found {
		for k := range s.Labels {
			labels[k] = k != "__name__" && k != "namespace" && k != "alertstate"
		}
	}
	maps.DeleteFunc(labels, func(_ string, shown bool) bool { return !shown })
	columns = slices.Sorted(maps.Keys(labels))
	for _, s := range found {
		var row []string
		for _, k := range columns {
			row = append(row, s.Labels[k])
		}
		cells = append(cells, row)
	}
	return columns, cells
}
