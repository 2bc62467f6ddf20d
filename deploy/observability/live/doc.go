// Package live tests the alerts end to end. A real Prometheus scrapes the real
// system, as in make observe, while the test injects one fault after another.
// Afterwards no dashboard panel may be empty. The rules are those of ../rules with
// shorter times (observability.Faster).
//
// Alerts that need a cluster (autoscalers, Jobs, certificates, postgres_exporter)
// cannot be triggered here. Only promtool tests those rules.
package live
