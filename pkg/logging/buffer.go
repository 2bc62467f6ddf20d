package logging

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	flushAfter = 250 * time.Millisecond // maximum wait of a line
	flushSize  = 32 << 10               // bytes; half of what a pipe of Linux holds
)

// Buffer collects the lines of Relaxed loggers, so that many of them share one system
// call. All other lines are written at once, after the lines that wait. A process that
// is killed loses the lines of its last quarter of a second; one that calls Close loses
// none. All methods may be called concurrently.
type Buffer struct {
	w     io.Writer
	timer *time.Timer

	mu     sync.Mutex
	lines  []byte
	closed bool
}

// NewBuffer returns a buffer of lines for w, for New.
func NewBuffer(w io.Writer) *Buffer {
	b := &Buffer{w: w, lines: make([]byte, 0, flushSize)}
	b.timer = time.AfterFunc(flushAfter, func() { _ = b.flush() }) // a log that fails has no place to report it
	return b
}

// Write implements io.Writer. The line waits until flush, but not for long.
func (b *Buffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lines) == 0 {
		b.timer.Reset(flushAfter)
	}
	b.lines = append(b.lines, line...)
	if b.closed || len(b.lines) >= flushSize {
		return len(line), b.write()
	}
	return len(line), nil
}

// Close writes the lines that wait. Later lines do not wait.
func (b *Buffer) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.timer.Stop()
	return b.write()
}

func (b *Buffer) flush() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.write()
}

// write needs mu.
func (b *Buffer) write() error {
	if len(b.lines) == 0 {
		return nil
	}
	_, err := b.w.Write(b.lines)
	b.lines = b.lines[:0]
	if err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	return nil
}

// Relaxed returns a logger whose lines below warn may wait in the Buffer of log, if it
// has one. It is for lines that every request writes.
func Relaxed(log *slog.Logger) *slog.Logger {
	if h, ok := log.Handler().(traced); ok {
		h.relaxed = true
		return slog.New(h)
	}
	return log
}
