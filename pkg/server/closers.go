package server

import (
	"context"
	"sync"
)

// Closers closes what was opened, last opened first. A constructor adds each
// part once it is open, and calls Close if a later one fails; afterwards the
// owner of all parts calls it.
type Closers []func()

// Add appends the close function of a part that was just opened.
func (c *Closers) Add(closePart func()) { *c = append(*c, closePart) }

// Close closes all parts in the reverse order and forgets them.
func (c *Closers) Close() {
	for i := len(*c) - 1; i >= 0; i-- {
		(*c)[i]()
	}
	*c = nil
}

// Background runs work until the returned function is called, which waits for its
// end. The work does not end with ctx: a draining service still answers.
func Background(ctx context.Context, all ...func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	for _, work := range all {
		running.Go(func() { work(ctx) })
	}
	return func() { cancel(); running.Wait() }
}
