package main

import (
	"bytes"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"example.com/pizza/deploy/images/image"
)

// What was pushed is told to people, to those who sign it, and to the next step.
func TestRun(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	to := strings.TrimPrefix(server.URL, "http://") + "/pizza"
	folder := t.TempDir()
	s := image.Spec{Name: "hello", Package: "deploy/images/image/hello", Folder: "deploy/images"}
	index, err := image.Build(t.Context(), "../../../..", s, image.Revision{Commit: strings.Repeat("0123", 10), Time: time.Unix(0, 0)}, image.Platforms()[:1])
	if err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if err := image.Write(filepath.Join(folder, "hello.tar"), "hello:1", "1", index); err != nil {
		t.Fatal(err)
	}
	line := "hello 01230123 " + to + "/hello@" + digest.String() + "\n"
	for _, names := range [][]string{nil, {"hello"}} {
		output := filepath.Join(t.TempDir(), "output")
		var out bytes.Buffer
		if err := run(t.Context(), append([]string{"-folder", folder, "-registry", to + "/", "-github", output}, names...), &out, io.Discard); err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]string{
			filepath.Join(folder, "hello.pushed"): line,
			output:                                "repository=" + to + "/hello\ndigest=" + digest.String() + "\n",
		} {
			if got, err := os.ReadFile(path); string(got) != want || err != nil {
				t.Errorf("%s: %q, want %q, %v", path, got, want, err)
			}
		}
		if out.String() != line {
			t.Errorf("says %q, want %q", out.String(), line)
		}
	}
	for says, args := range map[string][]string{
		"which registry": {"-folder", folder},
		"no archives":    {"-folder", t.TempDir(), "-registry", to},
		"goodbye.tar":    {"-folder", folder, "-registry", to, "goodbye"},
	} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want an error about %q", args, err, says)
		}
	}
}
