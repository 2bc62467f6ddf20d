package server_test

import (
	"bytes"
	"encoding/json"
	"sync"
	"testing"
	"time"
)

// lockedBuffer is a log that one goroutine writes and another one reads.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// await returns the value of a key of the first log line that has it.
func (b *lockedBuffer) await(t *testing.T, key string) string {
	t.Helper()
	for range 1000 {
		b.mu.Lock()
		lines := bytes.Split(b.buf.Bytes(), []byte("\n"))
		b.mu.Unlock()
		for _, line := range lines {
			var fields map[string]any
			if json.Unmarshal(line, &fields) == nil {
				if v, ok := fields[key].(string); ok {
					return v
				}
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("no log line has %q", key)
	return ""
}
