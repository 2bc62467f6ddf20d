// Package observability checks what operators see of the system: the rules that
// Prometheus records and alerts by (rules), a page for each alert (runbooks), and
// the dashboards (dashboards). These files are the product, which charts and
// make observe ship as they are; the code here only reads them.
//
// Rules and dashboards name only metrics that somebody exposes (metrics.md, and
// Foreign), so that a metric that gets another name fails a test, and not an alert
// at night.
package observability
