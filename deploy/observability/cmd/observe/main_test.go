package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// It tells where its pages are, serves them, and ends when it is told to.
func TestRun(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-data", t.TempDir(), "-page", "127.0.0.1:0", "-metrics", "127.0.0.1:0", "-spans", "127.0.0.1:0"}, write)
		ended <- err
		_ = write.CloseWithError(io.EOF) // it never fails
	}()
	var page string
	lines := bufio.NewScanner(read)
	for lines.Scan() {
		if _, address, found := strings.Cut(lines.Text(), "alerts, dashboards, traces"); found {
			page = strings.TrimSpace(address)
		}
		if strings.HasPrefix(lines.Text(), "Ctrl-C") {
			break
		}
	}
	for path, text := range map[string]string{"/": "None is pending or fires", "/traces": "make run OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:"} {
		r, err := http.Get(page + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != http.StatusOK || !strings.Contains(string(body), text) {
			t.Errorf("%s: %s without %q, %v:\n%s", path, r.Status, text, err, body)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestRunRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	if err := run(t.Context(), []string{"-unheard-of"}, io.Discard); err == nil {
		t.Error("it was taken")
	}
}
