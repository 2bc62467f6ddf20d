// Package tokentest keeps token keys in files as a mounted Kubernetes Secret
// does, so that tests change them in the way in which a cluster would.
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

// Volume is a folder with the files Signing and Previous. They are links into
// ..data, which is a link to a folder with the contents of one moment.
type Volume struct {
	dir string
}

// NewVolume mounts a signing key and others that verify.
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

// Path is where a file is found.
func (v Volume) Path(name string) string { return filepath.Join(v.dir, name) }

// Set exchanges the contents of both files in one step.
func (v Volume) Set(tb testing.TB, signing string, previous ...string) {
	tb.Helper()
	v.Replace(tb, map[string]string{Signing: signing, Previous: strings.Join(previous, "\n")})
}

// Replace is Set for any contents; a file without any is no longer there. The
// steps are those of the kubelet: write a new folder, rename a link to it over
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
