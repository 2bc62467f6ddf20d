// Package system holds the tests of the whole local system. They start the system just as
// `make run` does, services built and run as processes of their own on a real
// PostgreSQL, and use it through the gateway as a client would. Every answer is
// also held against the OpenAPI documents that the services serve.
//
// TestSystem walks the flow and then throws at it all that may come from
// outside. TestSecurity attacks it. TestOutage takes its database away, and stops
// it with an order in flight. TestMakeRun is the command line: start, conflicts, stop, kill, clean.
// TestChaos takes away whatever can be taken away while clients order, and then
// settles the books: what was acknowledged, stored and announced.
package system
