package main

import (
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"example.com/pizza/deploy/images/image"
)

// An existing image is used unchanged and not rebuilt.
func TestReadyImage(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	spec := image.Spec{Name: "hello", Package: "deploy/images/image/hello", Folder: "deploy/images"}
	ready, err := image.Build(t.Context(), "../..", spec, image.Revision{Commit: "of a while ago", Time: time.Unix(0, 0)}, image.Platforms())
	if err != nil {
		t.Fatal(err)
	}
	if err := image.Write(filepath.Join(folder, "hello.tar"), "hello:1", "1", ready); err != nil {
		t.Fatal(err)
	}
	for images, want := range map[string]bool{folder: true, t.TempDir(): false, "": false} {
		s := &system{root: "../..", work: t.TempDir(), settings: Settings{Images: images}}
		got, err := s.image(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if digest(t, got) == digest(t, ready) != want {
			t.Errorf("from %q: the ready one is taken: %t, want %t", images, !want, want)
		}
	}
}

func digest(t *testing.T, index v1.ImageIndex) v1.Hash {
	t.Helper()
	d, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d
}
