package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"example.com/pizza/deploy/images"
)

// An existing image is used unchanged, others are built, and the nodes get it under the names that pods use.
func TestReadyImage(t *testing.T) {
	t.Parallel()
	ready := t.TempDir()
	index, err := random.Index(64, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := layout.Write(filepath.Join(ready, "login"), mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: index})); err != nil {
		t.Fatal(err)
	}
	copies := t.TempDir()
	missing, err := copied(ready, copies)
	if want := []string{"menu", "order", "migrate"}; err != nil || !slices.Equal(missing, want) {
		t.Fatalf("missing are %q, want %q, %v", missing, want, err)
	}
	if missing, err := copied("", t.TempDir()); err != nil || len(missing) != 4 {
		t.Errorf("without a folder, missing are %q, %v", missing, err)
	}
	folder := filepath.Join(copies, "login")
	got, _, err := images.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	want, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if digest, err := got.Digest(); digest != want || err != nil {
		t.Errorf("%s, want %s, %v", digest, want, err)
	}

	loaded := filepath.Join(t.TempDir(), "loaded.tar")
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	settings := Settings{LoadImage: "cp -t " + filepath.Dir(loaded)}
	if err := load(t.Context(), cluster{"", log}, settings, folder, registry+"/login:"+tagAfter, tagAfter); err != nil {
		t.Fatal(err)
	}
	archive, err := os.ReadFile(filepath.Join(filepath.Dir(loaded), "login.tar"))
	if err != nil || !strings.Contains(string(archive), `"io.containerd.image.name": "registry.example.com/pizza/login:e2e-2"`) {
		t.Errorf("the archive does not name the image: %v", err)
	}
}
