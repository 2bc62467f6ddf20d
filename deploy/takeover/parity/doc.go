// Package parity answers whether the services may take over a path of the old system: it sends
// requests to both, and compares the answers.
//
// Requests come from a file (Replay), or are those of customers (Mirror). Answers are compared by
// status, Content-Type, Location and body; bodies that are JSON by their keys, values and order,
// where 12.5 is 12.50. A difference that Rules expect is intended, and reported with its reason.
// A read whose answers differ is sent once more after a moment, since both systems work on the
// same live data; it counts as different only if the answers still differ.
package parity
