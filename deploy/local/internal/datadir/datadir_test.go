package datadir

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func open(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func secret(t *testing.T, d *Dir, name string) string {
	t.Helper()
	v, err := d.Secrets().Get(name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestOpen(t *testing.T) {
	t.Parallel()
	t.Run("one process at a time", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "new", "folder")
		first := open(t, path)
		_, err := Open(path)
		if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "by process "+strconv.Itoa(os.Getpid())) {
			t.Fatalf("Open() = %v, want ErrInUse with the process id", err)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		open(t, path)
	})
	t.Run("a file is in its place", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil {
			t.Error("Open() = nil")
		}
	})
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	t.Run("stay the same", func(t *testing.T) {
		t.Parallel()
		path := t.TempDir()
		d := open(t, path)
		a, b := secret(t, d, "a"), secret(t, d, "b")
		if len(a) < 32 || a == b {
			t.Errorf("secrets %q and %q: want two long ones", a, b)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if again := secret(t, open(t, path), "a"); again != a {
			t.Errorf("after a new start %q, want %q", again, a)
		}
		info, err := os.Stat(filepath.Join(path, secretsFile))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file's mode is %v (%v), want 0600", info.Mode(), err)
		}
	})
	t.Run("forgotten", func(t *testing.T) {
		t.Parallel()
		d, err := Open(filepath.Join(t.TempDir(), "data"))
		if err != nil {
			t.Fatal(err)
		}
		before := secret(t, d, "a")
		if err := d.Delete(); err != nil {
			t.Fatal(err)
		}
		if secret(t, open(t, d.Path()), "a") == before {
			t.Error("the secret is still the old one")
		}
	})
	t.Run("a damaged file is named", func(t *testing.T) {
		t.Parallel()
		path := t.TempDir()
		if err := os.WriteFile(filepath.Join(path, secretsFile), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), secretsFile+" is damaged") {
			t.Errorf("Open() = %v, want the file named", err)
		}
	})
}
