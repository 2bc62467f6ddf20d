// Package tokentest keeps token keys in files as a mounted Kubernetes Secret does,
// so that tests change them as a cluster would.
package tokentest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Files of a Volume.
const (
	Signing  = "signing"
	Previous = "previous"
)

// Volume is a folder with the files Signing and Previous. They are symlinks into
// ..data, which is a symlink to a folder with one version of the contents.
type Volume struct {
	dir string
}

// NewVolume mounts a signing key and previous keys.
func NewVolume(tb testing.TB, signing string, previous ...string) Volume {
	tb.Helper()
	v := Volume{dir: tb.TempDir()}
	for _, name := range []string{Signing, Previous} {
		if err := os.Symlink(filepath.Join("..data", name), v.Path(name)); err != nil {
			tb.Fatal(err)
		}
	}
	v.Set(tb, signing, previous...)
	return v
}

// Path returns the path of a file.
func (v Volume) Path(name string) string { return filepath.Join(v.dir, name) }

// Set replaces the contents of both files atomically.
func (v Volume) Set(tb testing.TB, signing string, previous ...string) {
	tb.Helper()
	v.Replace(tb, map[string]string{Signing: signing, Previous: strings.Join(previous, "\n")})
}

// Replace is like Set, for any contents. A file without contents is removed. The
// steps are those of the kubelet: write a new folder, rename a symlink to it over
// ..data, delete the old folder.
func (v Volume) Replace(tb testing.TB, files map[string]string) {
	tb.Helper()
	data, link := v.Path("..data"), v.Path("..data_tmp")
	old, err := os.Readlink(data)
	if err != nil && !os.IsNotExist(err) {
		tb.Fatal(err)
	}
	folder, err := os.MkdirTemp(v.dir, "..2026_11_23_") //nolint:usetesting // beside ..data, where the kubelet makes it
	if err != nil {
		tb.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Base(folder), link); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(link, data); err != nil {
		tb.Fatal(err)
	}
	if old == "" {
		return
	}
	if err := os.RemoveAll(v.Path(old)); err != nil {
		tb.Fatal(err)
	}
}
