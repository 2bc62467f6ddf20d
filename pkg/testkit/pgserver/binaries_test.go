package pgserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// program returns a postgres that only prints its version.
func program(version string) string {
	return fmt.Sprintf("#!/bin/sh\necho 'postgres (PostgreSQL) %s'\n", version)
}

// testFinder returns a finder that only looks below a folder: in NAME/bin and in path.
func testFinder(t *testing.T, root string) finder {
	t.Helper()
	s, err := inspect(filepath.Join(root, "none"))
	if err != nil {
		t.Fatal(err)
	}
	account, err := accountFor(s)
	if err != nil {
		t.Fatal(err)
	}
	return finder{
		globs:      []string{filepath.Join(root, "*", "bin")},
		searchPath: filepath.Join(root, "path"),
		account:    account,
		cacheDir:   filepath.Join(root, "cache"),
		repository: "http://127.0.0.1:1", // reserved: nothing listens there
		log:        io.Discard,
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		installed map[string]string // folder: version
		kept      int
		want      string // folder
		err       []string
	}{
		"newest wins":              {map[string]string{"a": "15.18", "b": "17.5", "c": "16.9"}, 0, "b", nil},
		"Debian's version":         {map[string]string{"a": "15.18 (Debian 15.18-0+deb12u1)"}, 0, "a", nil},
		"beta":                     {map[string]string{"a": "19beta1"}, 0, "a", nil},
		"that of the data":         {map[string]string{"a": "15.18", "b": "17.5"}, 15, "a", nil},
		"that of the data is gone": {map[string]string{"a": "15.18", "b": "17.5"}, 16, "", []string{"PostgreSQL 16", "17.5", "make clean"}},
		"too old":                  {map[string]string{"a": "14.18"}, 0, "", []string{"14.18", "15 or newer"}},
		"none":                     {nil, 0, "", []string{"DATABASE_URL", "apt install postgresql", "brew install postgresql", "internet", "127.0.0.1:1"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := reachable(t)
			for folder, version := range tt.installed {
				mustWrite(t, filepath.Join(root, folder, "bin", "initdb"), "", 0o755)
				mustWrite(t, filepath.Join(root, folder, "bin", "postgres"), program(version), 0o755)
			}
			b, err := testFinder(t, root).find(t.Context(), tt.kept)
			if tt.err != nil {
				wantError(t, err, tt.err...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := filepath.Join(root, tt.want, "bin"); b.dir != want {
				t.Errorf("found %s, want %s", b.dir, want)
			}
		})
	}
}

func TestFindInPath(t *testing.T) {
	t.Parallel()
	root := reachable(t)
	programs := filepath.Join(root, "opt", "deep", "bin")
	mustWrite(t, filepath.Join(programs, "initdb"), "", 0o755)
	mustWrite(t, filepath.Join(programs, "postgres"), program("16.9"), 0o755)
	if err := os.Mkdir(filepath.Join(root, "path"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(programs, "initdb"), filepath.Join(root, "path", "initdb")); err != nil {
		t.Fatal(err)
	}
	got, err := testFinder(t, root).find(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(binaries{programs, "16.9", 16}, got, cmp.AllowUnexported(binaries{})); diff != "" {
		t.Error(diff)
	}
}

func TestFindPassesOver(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		initdb, postgres string
		mode             os.FileMode
		reason           string // in the error; empty if there is no server at all
	}{
		"client package":   {"#!/bin/sh\n", "", 0o755, ""},
		"not executable":   {"#!/bin/sh\n", program("17.5"), 0o644, ""},
		"broken program":   {"#!/bin/sh\n", "#!/bin/sh\necho no libssl >&2; exit 1\n", 0o755, "no libssl"},
		"not PostgreSQL":   {"#!/bin/sh\n", "#!/bin/sh\necho MariaDB 11\n", 0o755, "MariaDB"},
		"huge version":     {"#!/bin/sh\n", program("99999999999999999999.1"), 0o755, "99999999999999999999"},
		"PostgreSQL 9.6.1": {"#!/bin/sh\n", program("9.6.1"), 0o755, "9.6.1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := reachable(t)
			dir := filepath.Join(root, "bad", "bin")
			mustWrite(t, filepath.Join(dir, "initdb"), tt.initdb, tt.mode)
			if tt.postgres != "" {
				mustWrite(t, filepath.Join(dir, "postgres"), tt.postgres, tt.mode)
			}
			found, problems := testFinder(t, root).installed(t.Context())
			if len(found) > 0 {
				t.Errorf("found %v", found)
			}
			if tt.reason != "" {
				wantError(t, errors.Join(problems...), tt.reason, dir)
			} else if len(problems) > 0 {
				t.Error(problems)
			}
		})
	}
}

// repository serves the archive in testdata as Maven Central does.
func repository(t *testing.T, change func([]byte) []byte) *httptest.Server {
	t.Helper()
	archive, err := os.ReadFile("testdata/programs.jar")
	if err != nil {
		t.Fatal(err)
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(archive))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !strings.Contains(r.URL.Path, string(downloadVersion)):
			w.WriteHeader(http.StatusNotFound)
		case strings.HasSuffix(r.URL.Path, ".jar.sha256"):
			_, _ = io.WriteString(w, sum)
		case strings.HasSuffix(r.URL.Path, ".jar"):
			_, _ = w.Write(change(archive))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func same(archive []byte) []byte { return archive }

func TestDownload(t *testing.T) {
	t.Parallel()
	root := reachable(t)
	s := repository(t, same)
	f := testFinder(t, root)
	f.repository = s.URL
	var log strings.Builder
	f.log = &log

	got, err := f.find(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	want := binaries{filepath.Join(root, "cache", string(downloadVersion), "bin"), "18.3", 18}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(binaries{})); diff != "" {
		t.Error(diff)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "downloading") {
		t.Errorf("log: %q", got)
	}
	if left, err := filepath.Glob(filepath.Join(root, "cache", "download-*")); len(left) > 0 || err != nil {
		t.Error("left behind:", left, err)
	}

	// From now on it is cached, for new data and for its own data.
	s.Close()
	for _, kept := range []int{0, downloadMajor} {
		if got, err := f.find(t.Context(), kept); err != nil || got != want {
			t.Errorf("without network: %v, %v", got, err)
		}
	}
}

func TestDownloadFails(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func([]byte) []byte
		want   string
	}{
		"damaged on the way": {func(b []byte) []byte { return append([]byte{0}, b...) }, "checksum"},
		"cut short":          {func(b []byte) []byte { return b[:len(b)/2] }, "checksum"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := reachable(t)
			f := testFinder(t, root)
			f.repository = repository(t, tt.change).URL
			_, err := f.find(t.Context(), 0)
			wantError(t, err, tt.want, "DATABASE_URL")
			if left, err := os.ReadDir(filepath.Join(root, "cache")); len(left) > 0 || err != nil {
				t.Error("left behind:", left, err)
			}
		})
	}
}

func TestDownloadInterrupted(t *testing.T) {
	t.Parallel()
	root := reachable(t)
	ctx, cancel := context.WithCancel(t.Context())
	finish := make(chan struct{})
	f := testFinder(t, root)
	f.repository = repository(t, func([]byte) []byte { cancel(); <-finish; return nil }).URL
	_, err := f.download(ctx)
	close(finish)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
