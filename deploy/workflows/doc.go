// Package workflows tests the rules for the workflows in .github: least privilege,
// commands that also run locally (make), and dependencies pinned by content. It contains
// only tests. Package allowed and the command allowed are helpers of the workflows.
package workflows
