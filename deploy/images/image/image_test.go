package image_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"example.com/pizza/deploy/images/image"
)

const root = "../../.."

// hello is an image of the smallest program, which is built in a moment.
func hello() image.Spec {
	return image.Spec{
		Name: "hello", Package: "deploy/images/image/hello", Folder: "deploy/images",
		Title: "hello", Description: "says hello", Ports: []string{"8000/tcp"},
	}
}

func revision() image.Revision {
	return image.Revision{Commit: strings.Repeat("0123456789abcdef", 2) + "01234567", Time: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
}

func build(t *testing.T, s image.Spec) v1.ImageIndex {
	t.Helper()
	index, err := image.Build(t.Context(), root, s, revision(), image.Platforms())
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// images returns the images of an index, by architecture.
func images(t *testing.T, index v1.ImageIndex) map[string]v1.Image {
	t.Helper()
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]v1.Image{}
	for _, m := range manifest.Manifests {
		if all[m.Platform.Architecture], err = index.Image(m.Digest); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestBuild(t *testing.T) {
	t.Parallel()
	index := build(t, hello())
	all := images(t, index)
	if len(all) != 2 {
		t.Fatalf("%d platforms", len(all))
	}
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		t.Run(arch, func(t *testing.T) {
			t.Parallel()
			c, err := all[arch].ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			want := v1.Config{
				User: "65532:65532", WorkingDir: "/", Entrypoint: []string{"/hello"}, ExposedPorts: map[string]struct{}{"8000/tcp": {}},
				Env: []string{"PATH=/", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt", "SERVICE_VERSION=01234567"},
				Labels: map[string]string{
					"org.opencontainers.image.title": "hello", "org.opencontainers.image.description": "says hello",
					"org.opencontainers.image.revision": revision().Commit, "org.opencontainers.image.version": "01234567",
					"org.opencontainers.image.created": "2026-11-23T09:00:00Z",
				},
			}
			if diff := cmp.Diff(want, c.Config); diff != "" || c.Architecture != arch || c.OS != "linux" {
				t.Errorf("for %s/%s\n%s", c.OS, c.Architecture, diff)
			}
			files := contents(t, all[arch])
			names := []string{}
			for name := range files {
				names = append(names, name)
			}
			if len(names) != 8 || !strings.Contains(string(files["etc/passwd"]), "65532") || !bytes.Contains(files["etc/ssl/certs/ca-certificates.crt"], []byte("BEGIN CERTIFICATE")) {
				t.Errorf("files %q", names)
			}
			program, err := elf.NewFile(bytes.NewReader(files["hello"]))
			if err != nil {
				t.Fatal(err)
			}
			if libraries, err := program.ImportedLibraries(); program.Machine != machine || len(libraries) > 0 || err != nil && !errors.As(err, new(*elf.FormatError)) {
				t.Errorf("a program for %s that needs %q, %v", program.Machine, libraries, err)
			}
		})
	}
}

// contents returns the files of an image by name.
func contents(t *testing.T, img v1.Image) map[string][]byte {
	t.Helper()
	all := mutate.Extract(img)
	defer func() { _ = all.Close() }()
	files := map[string][]byte{}
	for r := tar.NewReader(all); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// Two builds of the same sources are the same, byte for byte, and what is not the
// same has another digest.
func TestReproducible(t *testing.T) {
	t.Parallel()
	digest := func(s image.Spec) (v1.Hash, [32]byte) {
		index := build(t, s)
		d, err := index.Digest()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "image.tar")
		if err := image.Write(path, "example.com/pizza/hello:1", "1", index); err != nil {
			t.Fatal(err)
		}
		archive, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return d, sha256.Sum256(archive)
	}
	first, firstArchive := digest(hello())
	second, secondArchive := digest(hello())
	if first != second || firstArchive != secondArchive {
		t.Errorf("%s and %s, archives %x and %x", first, second, firstArchive, secondArchive)
	}
	other := hello()
	other.Title = "goodbye"
	if third, _ := digest(other); third == first {
		t.Error("another image has the same digest")
	}
}

// The archive is an OCI image layout that names its image.
func TestArchive(t *testing.T) {
	t.Parallel()
	index := build(t, hello())
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := image.Write(path, "example.com/pizza/hello:main-01234567", "main-01234567", index); err != nil {
		t.Fatal(err)
	}
	l, err := layout.FromPath(unpack(t, path))
	if err != nil {
		t.Fatal(err)
	}
	got, err := l.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(got); err != nil {
		t.Error(err)
	}
	manifest, err := got.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"io.containerd.image.name": "example.com/pizza/hello:main-01234567", "org.opencontainers.image.ref.name": "main-01234567"}
	if len(manifest.Manifests) != 1 || manifest.Manifests[0].Digest != digest {
		t.Fatalf("holds %+v, want %s", manifest.Manifests, digest)
	}
	if diff := cmp.Diff(want, manifest.Manifests[0].Annotations); diff != "" {
		t.Error(diff)
	}
}

func unpack(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	folder := t.TempDir()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return folder
		}
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(folder, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(target, 0o755)
		} else {
			content, readErr := io.ReadAll(r)
			err = errors.Join(readErr, os.WriteFile(target, content, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestBuildFails(t *testing.T) {
	t.Parallel()
	s := hello()
	s.Package = "deploy/images/nothing"
	if _, err := image.Build(t.Context(), root, s, revision(), image.Platforms()); err == nil || !strings.Contains(err.Error(), "hello for linux/amd64") {
		t.Errorf("error %v", err)
	}
}

// Each image is of a program that exists, below the folder of its module.
func TestSpecs(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, s := range image.Specs() {
		names[s.Name] = true
		if _, err := os.Stat(filepath.Join(root, s.Package, "main.go")); err != nil || !strings.HasPrefix(s.Package, s.Folder+"/") {
			t.Errorf("%s: %s in %s, %v", s.Name, s.Package, s.Folder, err)
		}
	}
	if diff := cmp.Diff(map[string]bool{"login": true, "menu": true, "order": true, "migrate": true}, names); diff != "" {
		t.Error(diff)
	}
}
