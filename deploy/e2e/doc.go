// Command e2e proves on a real cluster what the charts promise: it installs the
// system from nothing and breaks it in every way that a cluster breaks things,
// while customers order without a pause.
//
//	customers ─▶ Ingress ─▶ login, menu, order ─▶ PostgreSQL on this machine
//	    │                        ▲
//	  books ◀── compare ──▶   scenarios: helm, kubectl, kill -9, the database
//
// Each customer notes what it was told; after each scenario the books are compared
// with the database: an order that was acknowledged and is not there is lost, one
// that is there and was never acknowledged is double, since every order is sent
// with a key and again until it is acknowledged. The table at the end says for each
// scenario how many requests failed, and which were allowed to.
//
// It works on any cluster that KUBECONFIG names and kubectl and helm reach; see
// README.md for its settings.
package main
