package process

import (
	"bytes"
	"sync"
)

const (
	tailLines = 20
	maxLine   = 64 << 10 // bytes; longer lines arrive in pieces
)

// lines is an io.Writer that splits a child's output into lines.
type lines struct {
	emit    func(line []byte)
	partial []byte

	mu   sync.Mutex
	tail []string // the newest tailLines lines
}

// Write never fails: a child must not stop for lack of a reader.
func (l *lines) Write(p []byte) (int, error) {
	l.partial = append(l.partial, p...)
	for {
		i := bytes.IndexByte(l.partial, '\n')
		switch {
		case i >= 0:
			l.line(l.partial[:i])
			l.partial = l.partial[i+1:]
		case len(l.partial) >= maxLine:
			l.line(l.partial)
			l.partial = nil
		default:
			l.partial = bytes.Clone(l.partial) // release the lines already emitted
			return len(p), nil
		}
	}
}

// flush emits a last line without a newline.
func (l *lines) flush() {
	if len(l.partial) > 0 {
		l.line(l.partial)
		l.partial = nil
	}
}

func (l *lines) line(b []byte) {
	b = bytes.TrimSuffix(b, []byte("\r"))
	l.mu.Lock()
	l.tail = append(l.tail, string(b))
	if len(l.tail) > tailLines {
		l.tail = l.tail[len(l.tail)-tailLines:]
	}
	l.mu.Unlock()
	if l.emit != nil {
		l.emit(b)
	}
}

func (l *lines) last() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.tail...)
}
