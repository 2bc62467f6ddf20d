// Package dashboard is the source of the dashboards: compact definitions, and
// their conversion to Grafana's JSON. All returns the dashboards. cmd/dashboards
// writes them into the chart, from which Grafana gets them.
//
// A dashboard consists of rows of panels, and a panel of queries with a unit. The
// rest (grid, colors, variables) is the same for all dashboards, and set here.
package dashboard

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Dashboard is a Grafana dashboard.
type Dashboard struct {
	Name  string // file name, and uid after "pizza-"
	Title string
	Rows  []Row
}

// Row is a titled row of panels of equal width.
type Row struct {
	Title  string
	Panels []Panel
}

// Panel is a graph or a number.
type Panel struct {
	Title   string
	About   string // explanation, shown behind an (i)
	Kind    string // stat or table; empty means graph
	Unit    string // Grafana's: reqps, s, percentunit, short, bytes …, or Currency
	Whole   bool   // the values are counts, and shown without decimals
	Stacked bool
	Queries []Query
}

// Currency is the unit of money. Grafana has one for each currency, but the services
// do not know theirs. So Grafana shows the number alone.
const Currency = "currency"

// Query is a query and the legend of its series.
type Query struct {
	Expr   string
	Legend string // such as {{job}}
}

// object keeps the JSON below readable.
type object = map[string]any

// width is the number of columns in Grafana's grid.
const width = 24

// JSON returns the dashboard for import into Grafana. The output is deterministic.
func (d Dashboard) JSON() ([]byte, error) {
	var panels []object
	id, y := 0, 0
	for _, r := range d.Rows {
		id++
		panels = append(panels, object{
			"id": id, "type": "row", "title": r.Title, "collapsed": false, "panels": []object{}, "gridPos": grid(0, y, width, 1),
		})
		y++
		w, h := width/len(r.Panels), 8
		for i, p := range r.Panels {
			id++
			panels = append(panels, p.json(id, grid(i*w, y, w, h)))
		}
		y += h
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(object{
		"uid": "pizza-" + d.Name, "title": "pizza / " + d.Title, "tags": []string{"pizza"}, "schemaVersion": 39, "editable": false,
		"timezone": "browser", "refresh": "30s", "time": object{"from": "now-3h", "to": "now"}, "graphTooltip": 1,
		"panels":      panels,
		"templating":  object{"list": variables()},
		"annotations": object{"list": []object{rollouts()}},
		"links": []object{{
			"type": "dashboards", "title": "pizza", "tags": []string{"pizza"}, "asDropdown": false, "keepTime": true, "includeVars": true,
		}},
	})
	return b.Bytes(), err
}

func grid(x, y, w, h int) object { return object{"x": x, "y": y, "w": w, "h": h} }

func source() object { return object{"type": "prometheus", "uid": "${datasource}"} }

// variables returns the data source and the namespace, one per environment.
func variables() []object {
	return []object{
		{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0},
		{
			"name": "namespace", "label": "Namespace", "type": "query", "datasource": source(), "refresh": 2, "sort": 1,
			"query":      object{"query": "label_values(http_server_active_requests, namespace)", "refId": "namespace"},
			"definition": "label_values(http_server_active_requests, namespace)",
		},
	}
}

// rollouts returns the annotation that marks the start of another version.
func rollouts() object {
	return object{
		"name": "Roll-outs", "enable": true, "datasource": source(), "iconColor": "blue", "expr": Rollouts, "step": "60s",
		"titleFormat": "{{job}} {{version}}",
	}
}

// Rollouts is the query for the annotation on all graphs.
const Rollouts = `sum by (job, version) (build_info{namespace="$namespace"}) unless sum by (job, version) (build_info{namespace="$namespace"} offset 2m)`

func (p Panel) json(id int, pos object) object {
	o := object{"id": id, "title": p.Title, "datasource": source(), "gridPos": pos}
	if p.About != "" {
		o["description"] = p.About
	}
	var targets []object
	for i, q := range p.Queries {
		t := object{"refId": string(rune('A' + i)), "datasource": source(), "expr": q.Expr, "legendFormat": q.Legend, "exemplar": p.Kind == ""}
		if p.Kind != "" {
			t["instant"], t["range"] = true, false
		}
		if p.Kind == "table" {
			t["format"] = "table"
		}
		targets = append(targets, t)
	}
	o["targets"] = targets
	defaults := object{"unit": p.Unit, "min": 0}
	switch {
	case p.Whole:
		defaults["decimals"] = 0
	case p.Unit == Currency:
		defaults["unit"], defaults["decimals"] = "short", 2
	}
	switch p.Kind {
	case "stat":
		o["type"] = "stat"
		o["options"] = object{"reduceOptions": object{"calcs": []string{"lastNotNull"}}, "textMode": "auto", "graphMode": "none"}
		delete(defaults, "min")
		if p.Unit == "percentunit" { // error budget: thresholds of the policy
			defaults["thresholds"] = object{"mode": "absolute", "steps": []object{
				{"color": "red", "value": nil}, {"color": "orange", "value": 0}, {"color": "yellow", "value": 0.25}, {"color": "green", "value": 0.5},
			}}
		}
	case "table":
		o["type"] = "table"
		defaults["unit"] = "none"
		o["transformations"] = []object{{"id": "organize", "options": object{"excludeByName": object{"Time": true, "Value": true, "__name__": true}}}}
	default:
		o["type"] = "timeseries"
		o["options"] = object{"legend": object{"displayMode": "table", "placement": "bottom", "calcs": []string{"mean", "max"}}, "tooltip": object{"mode": "multi", "sort": "desc"}}
		custom := object{"fillOpacity": 10, "showPoints": "never"}
		if p.Stacked {
			custom["fillOpacity"], custom["stacking"] = 40, object{"mode": "normal"}
		}
		defaults["custom"] = custom
	}
	o["fieldConfig"] = object{"defaults": defaults, "overrides": []object{}}
	return o
}

// Fill replaces Grafana's variables in a query: the namespace, and the minimum
// window of a rate.
func Fill(query, namespace, window string) string {
	return strings.NewReplacer("$__rate_interval", window, "$namespace", namespace).Replace(query)
}
