// Command policy tries the gate of stg and prod: the policy of helm/pizza by which
// Kyverno admits only signed images. Everything in it is the real thing, and none of
// it needs a network or a cluster: images in a registry on this machine, signatures
// of cosign with keys made for the moment, the pods and the policy as the chart renders
// them for production, and Kyverno's own engine in its command line tool.
//
//	images ─▶ registry ◀─ cosign (signatures)
//	             ▲
//	chart ─▶ pods, policy ─▶ kyverno ─▶ admitted or refused
//
// It prints what was expected and seen of each case, and fails when they differ.
package main
