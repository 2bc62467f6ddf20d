// Package console shows the services' logs to a person.
//
// Services write one JSON object per line. On a terminal each becomes one line
// to read: time, service, level, message, and the other values as key=value,
// errors in colour. What is no JSON, such as the trace of a panic, is shown as
// it is. Lines are held back until Release, so that the table of addresses
// comes first and is not torn apart.
package console

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// Options say how lines look.
type Options struct {
	JSON  bool // pass lines through as they came
	Color bool // use the colours of a terminal
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

// Line shows one line of a service.
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
	_, _ = c.write(b) // Broken tells
}

// Release shows what was held back, and from now on every line at once.
func (c *Console) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		return
	}
	_, _ = c.write(c.held.Bytes()) // Broken tells
	c.held = nil
}

// Write shows a message of our own as it is, never held back.
func (c *Console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write(b)
}

// Broken is closed when the output takes no more: the terminal was closed, or
// the reader of a pipe went away.
func (c *Console) Broken() <-chan struct{} { return c.broken }

func (c *Console) write(b []byte) (int, error) {
	n, err := c.out.Write(b)
	if err != nil {
		c.breakOne.Do(func() { close(c.broken) })
		return n, fmt.Errorf("console: %w", err)
	}
	return n, nil
}
