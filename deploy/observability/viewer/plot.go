package viewer

import (
	"context"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/pizza/deploy/observability/dashboard"
	"example.com/pizza/deploy/observability/prometheus"
)

// Time span, resolution and size of a graph.
const (
	span   = 15 * time.Minute
	points = 180
	width  = 420.0
	height = 150.0
)

// plot is a panel with its values.
type plot struct {
	dashboard.Panel
	Top    string // the largest value
	Lines  []line
	Traces []dot
}

// line is a series as SVG points.
type line struct {
	Name, Colour, Points, Last string
}

// dot is a request in a histogram's exemplars.
type dot struct {
	X, Y  float64
	Trace string
	Value string
}

var colours = []string{"#3274d9", "#e0752d", "#56a64b", "#a352cc", "#e02f44", "#c4a200", "#1f9e9e", "#8f5d3c"}

// plot queries the values of a panel up to now.
func (v *Viewer) plot(ctx context.Context, p dashboard.Panel, now time.Time) (plot, error) {
	shown := plot{Panel: p}
	from, step := now.Add(-span), span/points
	var series []prometheus.Series
	var names []string
	var dots []prometheus.Exemplar
	for _, q := range p.Queries {
		query := dashboard.Fill(q.Expr, v.Namespace, "1m")
		found, err := v.Prometheus.Range(ctx, query, from, now, step)
		if err != nil {
			return plot{}, err
		}
		for _, s := range found {
			if p.Kind == "table" && len(s.Values) > 0 && s.Values[len(s.Values)-1].At.Before(now.Add(-time.Minute)) {
				continue // the series has ended
			}
			series, names = append(series, s), append(names, name(q.Legend, s.Labels))
		}
		if strings.Contains(query, "_bucket") && len(dots) == 0 {
			if dots, err = v.Prometheus.Exemplars(ctx, query, from, now); err != nil {
				return plot{}, err
			}
		}
	}
	top := 0.0
	for _, s := range series {
		for _, value := range s.Values {
			if !math.IsInf(value.Value, 0) && !math.IsNaN(value.Value) {
				top = max(top, value.Value)
			}
		}
	}
	shown.Top = number(top, p.Unit)
	x := func(t time.Time) float64 { return width * float64(t.Sub(from)) / float64(span) }
	y := func(value float64) float64 { return height - height*min(max(value, 0), top)/max(top, 1e-12) }
	for i, s := range series {
		l := line{Name: names[i], Colour: colours[i%len(colours)]}
		for _, value := range s.Values {
			if !math.IsNaN(value.Value) {
				l.Points += fmt.Sprintf("%.1f,%.1f ", x(value.At), y(value.Value))
				l.Last = number(value.Value, p.Unit)
			}
		}
		shown.Lines = append(shown.Lines, l)
	}
	for _, e := range dots {
		if id := e.Labels["trace_id"]; id != "" {
			shown.Traces = append(shown.Traces, dot{X: x(e.At), Y: y(e.Value), Trace: id, Value: number(e.Value, p.Unit)})
		}
	}
	return shown, nil
}

var placeholder = regexp.MustCompile(`{{(\w+)}}`)

// name fills a legend like Grafana. Without a legend, it returns the values of all
// identifying labels.
func name(legend string, labels map[string]string) string {
	if legend != "" {
		return placeholder.ReplaceAllStringFunc(legend, func(p string) string { return labels[p[2:len(p)-2]] })
	}
	var all []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		if k != "__name__" && k != "namespace" && k != "alertstate" {
			all = append(all, labels[k])
		}
	}
	return strings.Join(all, " ")
}

// number formats a value in its unit.
func number(v float64, unit string) string {
	switch unit {
	case "percentunit":
		return strconv.FormatFloat(100*v, 'f', 2, 64) + " %"
	case "s":
		return time.Duration(v * float64(time.Second)).Round(10 * time.Microsecond).String()
	case "bytes":
		return strconv.FormatFloat(v/(1<<20), 'f', 1, 64) + " MiB"
	case "reqps", "ops":
		return strconv.FormatFloat(v, 'f', 2, 64) + " /s"
	default:
		return strconv.FormatFloat(math.Round(100*v)/100, 'f', -1, 64)
	}
}
