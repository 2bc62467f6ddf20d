// Package workflows holds the workflows in .github to their rules: each may do the
// least that it must, runs what anybody can run (make), and uses what it uses by its
// content. There is no code in it, only tests; package allowed and the command
// allowed are what the workflows need and make alone cannot do.
package workflows
