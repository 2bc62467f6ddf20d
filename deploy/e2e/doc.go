// Command e2e tests the charts on a real cluster: it installs the system from
// scratch, by the commands of docs/install.md, and injects the faults that occur
// in clusters, while customers order continuously.
//
//	customers ─▶ Ingress ─▶ login, menu, order ─▶ PostgreSQL on this machine
//	    │                        ▲
//	  books ◀── compare ──▶   scenarios: helm, kubectl, kill -9, the database
//
// Customers record every response, and each scenario ends with a comparison to
// the database. An acknowledged order that is not stored is lost. A stored order
// that was never acknowledged is double, because every order has an idempotency
// key and is retried until it is acknowledged. The final table shows how many
// requests failed in each scenario, and whether they were allowed to.
//
// The command works on any cluster that kubectl and helm reach by KUBECONFIG; see
// README.md for its settings.
package main
