package viewer

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"example.com/pizza/deploy/observability/prometheus"
	"example.com/pizza/deploy/observability/traces"
)

// repository is the address in the alerts that stands for the repository.
const repository = "https://example.com/pizza/"

// alert is an alert with its runbook on this server.
type alert struct {
	prometheus.Alert
	Runbook string
}

func (v *Viewer) alerts(q *http.Request) (content, error) {
	active, err := v.Prometheus.Alerts(q.Context())
	if err != nil {
		return content{}, err
	}
	var listed []alert
	for _, a := range active {
		if a.Labels["severity"] != "none" { // the Watchdog always fires
			listed = append(listed, alert{a, runbook(a.Annotations["runbook_url"])})
		}
	}
	slices.SortFunc(listed, func(a, b alert) int { // firing before pending, critical before warning
		return cmp.Or(cmp.Compare(a.State, b.State), cmp.Compare(a.Labels["severity"], b.Labels["severity"]),
			a.ActiveAt.Compare(b.ActiveAt), cmp.Compare(a.Labels["alertname"], b.Labels["alertname"]))
	})
	failed := slices.DeleteFunc(v.Traces.Latest(), func(t traces.Trace) bool { return !t.Failed() })
	return content{"alerts", map[string]any{
		"Alerts": listed, "Failed": failed[:min(len(failed), 20)], "URL": v.Prometheus.URL,
	}}, nil
}

// runbook returns the page of this server for the address of a runbook.
func runbook(url string) string {
	if path, ours := strings.CutPrefix(url, repository); ours {
		return "/docs/" + path
	}
	return url
}
