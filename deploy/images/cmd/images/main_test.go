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

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"example.com/pizza/deploy/images"
)

// Pushed images are reported to people and to the signing step.
func TestPushed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	to := strings.TrimPrefix(server.URL, "http://") + "/pizza"
	folder := t.TempDir()
	index, err := random.Index(64, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := layout.Write(filepath.Join(folder, "order"), mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: index})); err != nil {
		t.Fatal(err)
	}
	if err := images.Label(filepath.Join(folder, "order"), "order:any", "01230123"); err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-push", "-folder", folder, "-registry", to + "/", "order"}, &out); err != nil {
		t.Fatal(err)
	}
	want := "order 01230123 " + to + "/order@" + digest.String() + "\n"
	if got, err := os.ReadFile(filepath.Join(folder, "order.pushed")); string(got) != want || out.String() != want || err != nil {
		t.Errorf("said %q, and to a file %q, want %q, %v", out.String(), got, want, err)
	}
	for says, args := range map[string][]string{
		`no image "payment"`: {"payment"},
		"no such file":       {"-push", "-folder", folder, "-registry", to, "menu"},
		"ko":                 {"-folder", folder, "menu"}, // this folder has none
	} {
		if err := run(t.Context(), args, io.Discard); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want an error about %q", args, err, says)
		}
	}
}
