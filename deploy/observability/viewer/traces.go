package viewer

import (
	"cmp"
	"io/fs"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"example.com/pizza/deploy/observability/traces"
)

// most is the number of traces on a page.
const most = 200

// traces lists the latest traces, all or only those that failed or were slow, of
// the requests whose service and route contain a text.
func (v *Viewer) traces(q *http.Request) (content, error) {
	show, text := cmp.Or(q.FormValue("show"), "all"), strings.TrimSpace(q.FormValue("path"))
	promised, err := v.promised()
	if err != nil {
		return content{}, err
	}
	latest := v.Traces.Latest()
	var found []traces.Trace
	for _, t := range latest {
		root := t.Root()
		if strings.Contains(root.Service+" "+root.Name, text) && len(found) < most &&
			(show != "failed" || t.Failed()) && (show != "slow" || slow(root, promised)) {
			found = append(found, t)
		}
	}
	return content{"traces", map[string]any{
		"Traces": found, "Kept": len(latest), "Show": show, "Filter": text, "Hint": v.Hint,
		"Shows": []string{"all", "failed", "slow"},
	}}, nil
}

var promise = regexp.MustCompile("(?m)^\\| `(\\w+)` \\|.* of requests within (\\d+) (m?s) \\|")

// promised returns the latency objectives in slo.md by service.
func (v *Viewer) promised() (map[string]time.Duration, error) {
	text, err := fs.ReadFile(v.Root, "deploy/observability/slo.md")
	if err != nil {
		return nil, err
	}
	promised := map[string]time.Duration{}
	for _, row := range promise.FindAllStringSubmatch(string(text), -1) {
		if promised[row[1]], err = time.ParseDuration(row[2] + row[3]); err != nil {
			return nil, err
		}
	}
	return promised, nil
}

// slow reports whether a request took longer than its service promises.
func slow(root traces.Span, promised map[string]time.Duration) bool {
	limit, known := promised[root.Service]
	return known && root.Status != 0 && root.Took() > limit
}

// class returns the style of the result of a trace.
func class(t traces.Trace) string {
	switch {
	case t.Failed():
		return "failed"
	case t.Root().Status >= http.StatusBadRequest:
		return "refused"
	default:
		return "ok"
	}
}

// result returns the status of the answer, or ok or error for work without a request.
func result(t traces.Trace) string {
	root := t.Root()
	switch {
	case root.Status != 0:
		return strconv.Itoa(root.Status)
	case root.Failed:
		return "error"
	default:
		return "ok"
	}
}

// bar is a span as a bar in its trace.
type bar struct {
	traces.Span
	Depth       int
	Left, Width float64 // percent of the trace
}

func (v *Viewer) trace(q *http.Request) (content, error) {
	t, ok := v.Traces.Trace(q.PathValue("id"))
	if !ok {
		return content{}, errNotFound
	}
	took := max(t.Took(), time.Microsecond)
	depth := map[string]int{}
	bars := make([]bar, len(t.Spans))
	for i, s := range t.Spans {
		if d, inside := depth[s.Parent]; inside {
			depth[s.ID] = d + 1
		} else {
			depth[s.ID] = 0
		}
		bars[i] = bar{
			Span: s, Depth: depth[s.ID],
			Left:  100 * float64(s.Begin.Sub(t.Begin())) / float64(took),
			Width: max(0.2, 100*float64(s.Took())/float64(took)),
		}
	}
	return content{"trace " + t.ID, map[string]any{"Trace": t, "Bars": bars}}, nil
}
