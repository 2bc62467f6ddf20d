// Package observability checks what operators see of the system: the rules that
// Prometheus records and alerts by (rules), a page for each alert (runbooks), and
// the dashboards (dashboards). These files are the product, which charts and
// make observe ship as they are; the code here only reads them.
package observability
