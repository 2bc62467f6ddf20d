package observability

import (
	_ "embed"
	"regexp"
	"strings"
)

//go:embed metrics.md
var table string

// Metric is a series that rules and dashboards may read.
type Metric struct {
	ToldBy string   // services, separated by commas, or another source
	Labels []string // own labels; nil if unknown, for foreign metrics
}

// Exposed returns the services' metrics in metrics.md by name. A histogram is
// replaced by its classic series.
func Exposed() map[string]Metric {
	row := regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\w+) \\| (.*?) \\| (.+?) \\|")
	exposed := map[string]Metric{}
	for _, cells := range row.FindAllStringSubmatch(table, -1) {
		m := Metric{ToldBy: cells[4], Labels: []string{}}
		for label := range strings.SplitSeq(cells[3], ",") {
			if label = strings.Trim(label, " `"); label != "" {
				m.Labels = append(m.Labels, label)
			}
		}
		if cells[2] != "histogram" {
			exposed[cells[1]] = m
			continue
		}
		for _, suffix := range []string{"_bucket", "_count", "_sum"} {
			exposed[cells[1]+suffix] = m
		}
	}
	return exposed
}

// Foreign returns the other metrics that rules and dashboards read, with their
// sources.
func Foreign() map[string]Metric {
	foreign := map[string]Metric{}
	for who, names := range map[string][]string{
		"Prometheus itself": {"up", "ALERTS"},
		"the Go client":     {"go_goroutines", "go_gc_gomemlimit_bytes", "process_cpu_seconds_total", "process_resident_memory_bytes"},
		"kube-state-metrics": {
			"kube_deployment_status_replicas_available", "kube_horizontalpodautoscaler_spec_max_replicas",
			"kube_horizontalpodautoscaler_status_desired_replicas", "kube_job_failed", "kube_pod_container_status_restarts_total",
			"kube_pod_container_status_waiting_reason", "kube_pod_status_ready",
		},
		"cert-manager": {"certmanager_certificate_expiration_timestamp_seconds"},
		"postgres_exporter": {
			"pg_settings_max_connections", "pg_stat_activity_count", "pg_stat_activity_max_tx_duration", "pg_stat_database_xact_commit",
			"pg_stat_database_xact_rollback", "pg_up",
		},
	} {
		for _, name := range names {
			foreign[name] = Metric{ToldBy: who}
		}
	}
	return foreign
}
