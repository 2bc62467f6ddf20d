package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gofrs/flock"

	"example.com/pizza/deploy/local/internal/datadir"
)

// workplace is a repository with builds, two data folders in .local, one
// elsewhere, and unrelated user files.
type workplace struct{ root, first, second, elsewhere string }

func newWorkplace(t *testing.T) workplace {
	t.Helper()
	root := t.TempDir()
	w := workplace{root, filepath.Join(root, ".local"), filepath.Join(root, ".local", "more", "second"), filepath.Join(t.TempDir(), "data")}
	for _, path := range []string{".local/bin/helm", ".local/images/order.tar", ".local/notes.md", ".local/kind.kubeconfig", "coverage/pkg.html"} {
		write(t, filepath.Join(root, path))
	}
	for _, folder := range w.folders() {
		write(t, filepath.Join(folder, "mine.txt"))
		dir, err := datadir.Open(folder)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dir.Secrets().Get("one"); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"postgres/owner.lock", "nats/x", "bin/login", "prometheus/data/lock", "targets.json"} {
			write(t, filepath.Join(folder, path))
		}
		if err := dir.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w workplace) folders() []string { return []string{w.first, w.second, w.elsewhere} }

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// clean runs the cleanup and returns its output.
func (w workplace) clean(data string) (string, error) {
	var out strings.Builder
	err := forget(w.root, data, &out)
	return out.String(), err
}

// check checks that all paths exist, or that none does.
func check(t *testing.T, there bool, folder string, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if _, err := os.Lstat(filepath.Join(folder, path)); (err == nil) != there {
			t.Errorf("%s in %s: %v, want it there: %v", path, folder, err, there)
		}
	}
}

var dataFiles = []string{"lock", "secrets.json", "postgres", "nats", "bin/login", "prometheus", "targets.json"}

// TestCleanRefusesWhileAnySystemRuns covers systems below .local, with every
// folder as the argument.
func TestCleanRefusesWhileAnySystemRuns(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(workplace) (folder, file string){
		"the first":     func(w workplace) (string, string) { return w.first, "lock" },
		"another":       func(w workplace) (string, string) { return w.second, "lock" },
		"observe":       func(w workplace) (string, string) { return w.first, "prometheus/data/lock" },
		"observe other": func(w workplace) (string, string) { return w.second, "prometheus/data/lock" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkplace(t)
			folder, file := use(w)
			lock := flock.New(filepath.Join(folder, file))
			if ok, err := lock.TryLock(); err != nil || !ok {
				t.Fatal(ok, err)
			}
			defer lock.Close()
			for _, data := range append(w.folders(), "") {
				if out, err := w.clean(data); !errors.Is(err, datadir.ErrInUse) || !strings.Contains(err.Error(), folder) || out != "" {
					t.Errorf("clean %q: %v, %q", data, err, out)
				}
			}
			for _, folder := range w.folders() {
				check(t, true, folder, dataFiles...)
			}
			check(t, true, w.root, ".local/bin/helm", "coverage/pkg.html")
		})
	}
}

// TestCleanRefusesWhileTheNamedRuns covers a folder outside of .local.
func TestCleanRefusesWhileTheNamedRuns(t *testing.T) {
	t.Parallel()
	w := newWorkplace(t)
	dir, err := datadir.Open(w.elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if _, err := w.clean(w.elsewhere); !errors.Is(err, datadir.ErrInUse) {
		t.Error(err)
	}
	check(t, true, w.elsewhere, dataFiles...)
	if _, err := w.clean(w.second); err != nil {
		t.Errorf("another's data cannot be forgotten meanwhile: %v", err)
	}
}

// TestCleanDeletesWhatWasNamed checks that nothing else is deleted, above all no
// files that the stack did not create.
func TestCleanDeletesWhatWasNamed(t *testing.T) {
	t.Parallel()
	t.Run("nothing named", func(t *testing.T) {
		t.Parallel()
		w := newWorkplace(t)
		out, err := w.clean("")
		if err != nil {
			t.Fatal(err)
		}
		check(t, false, w.first, dataFiles...)
		check(t, false, w.root, ".local/bin", ".local/images", "coverage")
		check(t, true, w.first, "mine.txt", "notes.md", "kind.kubeconfig")
		check(t, true, w.second, dataFiles...)
		check(t, true, w.elsewhere, dataFiles...)
		for _, want := range []string{"forgot the database", "make clean DATA='" + w.second + "'", "kept " + filepath.Join(w.first, "notes.md")} {
			if !strings.Contains(out, want) {
				t.Errorf("%q is not told:\n%s", want, out)
			}
		}
	})
	for name, folder := range map[string]func(workplace) string{
		"below .local": func(w workplace) string { return w.second }, "elsewhere": func(w workplace) string { return w.elsewhere },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkplace(t)
			named := folder(w)
			if _, err := w.clean(named); err != nil {
				t.Fatal(err)
			}
			check(t, false, named, dataFiles...)
			check(t, true, named, "mine.txt")
			check(t, true, w.root, ".local/bin/helm", ".local/images/order.tar", "coverage/pkg.html")
			for _, other := range w.folders() {
				if other != named {
					check(t, true, other, dataFiles...)
				}
			}
		})
	}
	t.Run("no data folder", func(t *testing.T) {
		t.Parallel()
		w := newWorkplace(t)
		home := t.TempDir()
		write(t, filepath.Join(home, "secrets.json"))
		if _, err := w.clean(home); err == nil || !strings.Contains(err.Error(), "holds no data of make run") {
			t.Error(err)
		}
		check(t, true, home, "secrets.json")
		check(t, false, home, "lock")
	})
	t.Run("nothing there", func(t *testing.T) {
		t.Parallel()
		w := workplace{root: t.TempDir()}
		if out, err := w.clean(""); err != nil || out != "" {
			t.Error(out, err)
		}
	})
}
