// Package live holds the test that makes alerts happen: a real Prometheus scrapes
// the real system, as make observe has it, while one part after the other is taken
// away. After that no panel of a dashboard is empty. The rules are those of ../rules, in a shorter time (observability.Faster).
//
// What needs a cluster (autoscalers, Jobs, certificates, postgres_exporter) cannot be
// caused here; promtool alone tests those rules.
package live
