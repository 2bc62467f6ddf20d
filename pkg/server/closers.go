package server

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
