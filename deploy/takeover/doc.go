// Package takeover plays the roll-out of docs/takeover.md: a stand-in for the monolith
// of the design document (monolith) serves customers by its own SQL while the services take over
// its database, and then its paths.
package takeover
