// Package observability checks the Prometheus rules (rules), a runbook for each
// alert (runbooks), and the dashboards (dashboards). The charts and make observe
// ship these files unchanged. The code here only reads them.
//
// Rules and dashboards may use only exposed metrics (metrics.md and Foreign). A
// renamed metric then fails a test instead of silencing an alert.
package observability
