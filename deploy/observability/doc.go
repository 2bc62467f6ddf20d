// Package observability checks the Prometheus rules, a runbook for each alert
// (runbooks), and the dashboards. The rules and dashboards are files of the chart
// (Rules, Dashboards), which make observe reads too. The code here only reads them.
//
// Rules and dashboards may use only exposed metrics (metrics.md and Foreign). A
// renamed metric then fails a test instead of silencing an alert.
package observability
