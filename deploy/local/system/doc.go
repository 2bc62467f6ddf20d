// Package system tests the whole local system. The tests start it as `make run`
// does: services are built and run as separate processes, on a real PostgreSQL.
// They use it through the gateway like a client, and check every response
// against the OpenAPI documents that the services serve.
//
// TestSystem walks the flow and then sends all kinds of bad input. TestSecurity
// attacks the system. TestOutage stops its database, and stops the system with an
// order in flight. TestMakeRun covers the command line: start, conflicts, stop,
// kill, clean. TestChaos stops every component in turn while clients order, and
// then reconciles acknowledged, stored and announced orders.
package system
