package dashboard

import (
	"fmt"
	"strings"
)

// members selects the requests of members and services, not probes and scrapes.
const members = `route!~"/healthz|/livez|/metrics"`

// All returns the dashboards.
func All() []Dashboard {
	return []Dashboard{overview(), login(), menu(), order(), postgresql(), business()}
}

// of returns the selector of a service. more is empty or starts with a comma.
func of(job, more string) string {
	return fmt.Sprintf(`{namespace="$namespace", job="%s"%s}`, job, more)
}

// per returns a rate per second, summed by labels.
func per(labels, selected string) string {
	return fmt.Sprintf(`sum by (%s) (rate(%s[$__rate_interval]))`, labels, selected)
}

// quantile returns a quantile of a histogram by labels.
func quantile(q, labels, histogram, selected string) string {
	if labels != "" {
		labels = ", " + labels
	}
	return fmt.Sprintf(`histogram_quantile(%s, sum by (le%s) (rate(%s_bucket%s[$__rate_interval])))`, q, labels, histogram, selected)
}

const requests = "http_server_request_duration_seconds"

func overview() Dashboard {
	d := Dashboard{Name: "overview", Title: "overview", Rows: []Row{
		{"What is promised", []Panel{
			{Title: "Error budget left, of 28 days", Kind: "stat", Unit: "percentunit", About: "What follows from it: slo.md",
				Queries: []Query{{`slo:error_budget_remaining:ratio{namespace="$namespace"}`, "{{job}} {{slo}}"}}},
			{Title: "Burn rate over an hour", Unit: "short", About: "1 spends the budget exactly in 28 days; 13.4 wakes somebody.",
				Queries: []Query{{`slo:bad:ratio_rate1h{namespace="$namespace"} / on (job, slo) group_left () (1 - slo:objective:ratio)`, "{{job}} {{slo}}"}}},
			{Title: "Alerts that fire", Kind: "table", Queries: []Query{{`ALERTS{namespace="$namespace", alertstate="firing"}`, ""}}},
		}},
		{"What runs", []Panel{
			{Title: "Targets up", Kind: "stat", Unit: "short", Whole: true,
				About: "Of the replicas that Prometheus scrapes. A service that lost all of them in the last day counts as one.",
				Queries: []Query{
					{`sum(up{namespace="$namespace", job=~"login|menu|order"}) or vector(0)`, "up"},
					{`sum(clamp_min(service:targets:count{namespace="$namespace"}, 1))`, "of"},
				}},
			{Title: "Replicas that answer", Unit: "short", Whole: true, Queries: []Query{{`sum by (job) (up{namespace="$namespace", job=~"login|menu|order"})`, "{{job}}"}}},
			{Title: "Versions", Kind: "table", Queries: []Query{{`sum by (job, version, goversion) (build_info{namespace="$namespace"})`, ""}}},
			{Title: "Outbox lag", Unit: "s", About: "How long the oldest event waits to be published.",
				Queries: []Query{{`max by (job) (outbox_lag_seconds{namespace="$namespace"})`, "{{job}}"}}},
		}},
	}}
	for _, job := range []string{"order", "menu", "login"} {
		d.Rows = append(d.Rows, Row{job, []Panel{
			{Title: "Requests", Unit: "reqps", Stacked: true, Queries: []Query{{per("status", requests+"_count"+of(job, ", "+members)), "{{status}}"}}},
			{Title: "Bad, of all", Unit: "percentunit", About: "As the objectives count: 5xx, and slower than promised.",
				Queries: []Query{{`slo:bad:ratio_rate5m` + of(job, ""), "{{slo}}"}}},
			latency(job),
		}})
	}
	return d
}

// latency shows the request duration. Its points link to traces.
func latency(job string) Panel {
	p := Panel{Title: "Duration", Unit: "s", About: "A point is a request: its trace_id finds its trace and its lines of the log."}
	for _, q := range []string{"0.5", "0.95", "0.99"} {
		p.Queries = append(p.Queries, Query{quantile(q, "", requests, of(job, ", "+members)), percentile(q)})
	}
	return p
}

// percentile returns the name of a quantile: p50 for 0.5.
func percentile(q string) string { return "p" + (strings.TrimPrefix(q, "0.") + "0")[:2] }

// service returns a service's dashboard: the common rows (requests, process) with its
// own rows in between.
func service(job string, own ...Row) Dashboard {
	d := Dashboard{Name: job, Title: job}
	d.Rows = append(d.Rows, Row{"Requests", []Panel{
		{Title: "By route", Unit: "reqps", Queries: []Query{{per("route, method", requests+"_count"+of(job, ", "+members)), "{{method}} {{route}}"}}},
		{Title: "4xx and 5xx by route", Unit: "reqps", Queries: []Query{{per("route, method, status", requests+"_count"+of(job, ", "+members+`, status=~"4xx|5xx"`)), "{{status}} {{method}} {{route}}"}}},
		latency(job),
		{Title: "p95 by route", Unit: "s", Queries: []Query{{quantile("0.95", "route, method", requests, of(job, ", "+members)), "{{method}} {{route}}"}}},
	}})
	d.Rows = append(d.Rows, own...)
	d.Rows = append(d.Rows, Row{"Process", []Panel{
		{Title: "Processor", Unit: "short", About: "Cores in use.", Queries: []Query{{per("instance", "process_cpu_seconds_total"+of(job, "")), "{{instance}}"}}},
		{Title: "Memory", Unit: "bytes", Queries: []Query{
			{"process_resident_memory_bytes" + of(job, ""), "{{instance}}"},
			{"go_gc_gomemlimit_bytes" + of(job, "") + " < 1e15", "limit of {{instance}}"},
		}},
		{Title: "Goroutines", Unit: "short", Whole: true, Queries: []Query{{"go_goroutines" + of(job, ""), "{{instance}}"}}},
		{Title: "In work", Unit: "short", Whole: true, Queries: []Query{{"http_server_active_requests" + of(job, ""), "{{instance}}"}}},
	}})
	return d
}

// admission shows a gate that limits concurrency.
func admission(title, job, gate string) Row {
	return Row{title, []Panel{
		{Title: "Let in and refused", Unit: "reqps", Queries: []Query{
			{per("job", gate+"_admission_admitted_total"+of(job, "")), "let in"},
			{per("reason", gate+"_admission_rejected_total"+of(job, "")), "{{reason}}"},
		}},
		{Title: "In work and waiting", Unit: "short", Whole: true, Queries: []Query{
			{"sum(" + gate + "_admission_in_work" + of(job, "") + ")", "in work"},
			{"sum(" + gate + "_admission_queued" + of(job, "") + ")", "waiting"},
		}},
		{Title: "Wait of those let in", Unit: "s", Queries: []Query{
			{quantile("0.5", "", gate+"_admission_wait_seconds", of(job, "")), "p50"},
			{quantile("0.99", "", gate+"_admission_wait_seconds", of(job, "")), "p99"},
		}},
	}}
}

// tokens shows the keys of a service that verifies tokens.
func tokens(job string) Row {
	return Row{"Tokens", []Panel{
		{Title: "Keys", Unit: "short", Whole: true, About: "Two during a rotation, else one.", Queries: []Query{{"count by (kid, use) (token_key_info" + of(job, "") + ")", "{{kid}} {{use}}"}}},
	}}
}

// events shows the outbox of a service.
func events(job string) Row {
	return Row{"Events", []Panel{
		{Title: "Outbox", Unit: "short", Whole: true, Queries: []Query{
			{"max(outbox_depth" + of(job, "") + ")", "waiting"},
			{"max(outbox_parked" + of(job, "") + ")", "parked"},
		}},
		{Title: "Oldest", Unit: "s", Queries: []Query{{"max(outbox_lag_seconds" + of(job, "") + ")", "lag"}}},
		{Title: "Attempts to publish", Unit: "ops", Queries: []Query{{per("outcome", "outbox_events_total"+of(job, "")), "{{outcome}}"}}},
	}}
}

// limits shows the rate limits of a service.
func limits(job string) Row {
	return Row{"Rate limits", []Panel{
		{Title: "Refused (429)", Unit: "reqps", Queries: []Query{{per("route, limit", "rate_limit_requests_total"+of(job, `, outcome="refused"`)), "{{route}} by {{limit}}"}}},
		{Title: "Counted by each replica alone", Unit: "short", Whole: true, About: "1 while Redis does not answer; 0 too where there is none.", Queries: []Query{{"max by (instance) (rate_limit_fallback" + of(job, "") + ")", "{{instance}}"}}},
		{Title: "Errors of Redis", Unit: "ops", Queries: []Query{{per("instance", "rate_limit_redis_errors_total"+of(job, "")), "{{instance}}"}}},
	}}
}
