// Package console renders the services' logs for people.
//
// Services write one JSON object per line. On a terminal each becomes one
// readable line: time, service, level, message, and the other values as
// key=value, errors in color. Lines that are not JSON, such as a panic trace,
// are shown unchanged. Lines are held back until Release, so that the table of
// addresses comes first and stays in one piece.
package console

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// Options control how lines look.
type Options struct {
	JSON  bool // pass lines through unchanged
	Color bool // use terminal colors
}

// Console writes lines of several services to one writer.
type Console struct {
	options Options

	mu       sync.Mutex
	out      io.Writer
	held     *bytes.Buffer // nil once released
	broken   chan struct{}
	breakOne sync.Once
}

// New returns a console that holds its lines back until Release.
func New(out io.Writer, o Options) *Console {
	return &Console{options: o, out: out, held: new(bytes.Buffer), broken: make(chan struct{})}
}

// Line prints one log line of a service.
func (c *Console) Line(service string, line []byte) {
	var b []byte
	if c.options.JSON {
		b = append(bytes.Clone(line), '\n')
	} else {
		b = render(service, line, c.options.Color)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held != nil {
		c.held.Write(b)
		return
	}
	_, _ = c.write(b) // Broken reports the failure
}

// Release prints the held lines. Later lines are printed immediately.
func (c *Console) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		return
	}
	_, _ = c.write(c.held.Bytes()) // Broken reports the failure
	c.held = nil
}

// Write prints a message of the stack itself unchanged, and never holds it back.
func (c *Console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write(b)
}

// Broken is closed when the output fails: the terminal was closed, or the reader
// of a pipe has gone.
func (c *Console) Broken() <-chan struct{} { return c.broken }

func (c *Console) write(b []byte) (int, error) {
	n, err := c.out.Write(b)
	if err != nil {
		c.breakOne.Do(func() { close(c.broken) })
		return n, fmt.Errorf("console: %w", err)
	}
	return n, nil
}
