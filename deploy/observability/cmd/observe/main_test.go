package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gofrs/flock"
)

// TestRun checks that run prints the address of its pages, serves them, and stops
// when ctx ends.
func TestRun(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-data", t.TempDir(), "-page", "127.0.0.1:0", "-metrics", "127.0.0.1:0", "-spans", "127.0.0.1:0"}, write)
		ended <- err
		_ = write.CloseWithError(io.EOF) // never fails
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

// TestRunRefusesWhatItDoesNotKnow checks for a usageError, which means exit
// status 2.
func TestRunRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-unheard-of"}, {".local/second"}, {"-data", "x", "y"}} {
		if err := run(t.Context(), args, io.Discard); !errors.As(err, new(usageError)) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// TestChoose checks that running systems are found, and that the note or the error
// explains an ambiguous choice or a missing system.
func TestChoose(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		running, stopped []string // below the repository
		data             string
		want             string   // the folder
		notes            []string // parts of the note or the error
	}{
		"nothing runs":             {nil, nil, "", ".local", []string{"No system of `make run` runs in", "make observe DATA=FOLDER"}},
		"nothing runs any more":    {nil, []string{".local", ".local/b"}, "", ".local", []string{"No system of `make run` runs in"}},
		"the first":                {[]string{".local"}, []string{".local/b"}, "", ".local", nil},
		"the only one":             {[]string{".local/b"}, []string{".local"}, "", ".local/b", nil},
		"the first, beside others": {[]string{".local", ".local/b"}, nil, "", ".local", []string{"make observe DATA='", "/.local/b'"}},
		"one of two":               {[]string{".local/a", ".local/b"}, []string{".local"}, "", "", []string{"several systems run", "/.local/a'", "/.local/b'"}},
		"named":                    {[]string{".local", "x"}, nil, "x", "x", nil},
		"named, and does not run":  {[]string{".local"}, nil, "x", "x", []string{"No system runs in", "/.local'"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			for _, folder := range append(slices.Clone(test.running), test.stopped...) {
				if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil {
					t.Fatal(err)
				}
				lock := flock.New(filepath.Join(root, folder, "lock"))
				if ok, err := lock.TryLock(); err != nil || !ok {
					t.Fatal(ok, err)
				}
				t.Cleanup(func() { _ = lock.Close() })
				if slices.Contains(test.stopped, folder) {
					if err := lock.Unlock(); err != nil {
						t.Fatal(err)
					}
				}
			}
			data := test.data
			if data != "" {
				data = filepath.Join(root, data)
			}
			got, note, err := choose(root, data)
			switch {
			case test.want == "" && err == nil:
				t.Errorf("chose %s", got)
			case test.want == "":
				note = err.Error()
			case err != nil || got != filepath.Join(root, test.want):
				t.Errorf("chose %s, %v, want %s", got, err, test.want)
			}
			for _, want := range test.notes {
				if !strings.Contains(note, want) {
					t.Errorf("it does not say %q:\n%s", want, note)
				}
			}
			if len(test.notes) == 0 && note != "" {
				t.Errorf("it says %q", note)
			}
		})
	}
}
