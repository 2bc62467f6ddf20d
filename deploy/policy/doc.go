// Command policy tests the gate of stg and prod: the policy of helm/pizza by which
// Kyverno admits only signed images. It uses the real parts, without a network or a
// cluster: images in a registry on this machine, signatures of cosign with temporary
// keys, the pods and the policy that the chart renders for prod, and Kyverno's own
// engine in its command line tool.
//
//	images ─▶ registry ◀─ cosign (signatures)
//	             ▲
//	chart ─▶ pods, policy ─▶ kyverno ─▶ admitted or refused
//
// It prints the expected and the actual result of each case, and fails if they differ.
package main
