package observability

import (
	_ "embed"
	"strings"
)

//go:embed metrics.txt
var exposed string

// MetricsFile returns metrics.txt: on each line the name of a metric, its type and
// the services that expose it.
func MetricsFile() string { return exposed }

// Exposed returns the metrics of the services by name, each with the services
// that have it, separated by spaces. A test holds them to what running services
// answer a scrape with. Of the Go runtime and the process, it has what is used
// here; the classic series of a histogram are in it one by one.
func Exposed() map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(exposed) {
		fields := strings.Fields(line)
		name, kind, services := fields[0], fields[1], strings.Join(fields[2:], " ")
		if kind != "histogram" {
			m[name] = services
			continue
		}
		for _, suffix := range []string{"_bucket", "_count", "_sum"} {
			m[name+suffix] = services
		}
	}
	return m
}

// Foreign returns metrics that rules and dashboards read and services do not
// expose, each with who does.
func Foreign() map[string]string {
	const (
		prometheus  = "Prometheus itself"
		consumers   = "consumers of events that use pkg/events, such as the kitchen of another team"
		cluster     = "kube-state-metrics"
		certManager = "cert-manager"
		postgres    = "postgres_exporter"
	)
	return map[string]string{
		"up":                    prometheus,
		"ALERTS":                prometheus,
		"events_consumed_total": consumers,
		"kube_deployment_status_replicas_available":            cluster,
		"kube_horizontalpodautoscaler_spec_max_replicas":       cluster,
		"kube_horizontalpodautoscaler_status_desired_replicas": cluster,
		"kube_job_failed":                                      cluster,
		"kube_pod_container_status_restarts_total":             cluster,
		"kube_pod_container_status_waiting_reason":             cluster,
		"certmanager_certificate_expiration_timestamp_seconds": certManager,
		"pg_settings_max_connections":                          postgres,
		"pg_stat_activity_count":                               postgres,
		"pg_stat_activity_max_tx_duration":                     postgres,
		"pg_stat_database_xact_commit":                         postgres,
		"pg_stat_database_xact_rollback":                       postgres,
	}
}
