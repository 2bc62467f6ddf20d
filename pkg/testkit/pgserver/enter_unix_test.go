//go:build unix

package pgserver

import (
	"bufio"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func modeOf(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// TestUmaskDoesNotCount checks that under every umask a server starts and restarts
// on the requested folder, and that other users cannot access its data.
func TestUmaskDoesNotCount(t *testing.T) {
	t.Parallel()
	for _, umask := range []string{"077", "000", "027"} {
		t.Run(umask, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(reachable(t), "new", "folder", "data")
			for range 2 {
				cmd := exec.Command("sh", "-c", "umask "+umask+`; exec "$0"`, os.Args[0])
				cmd.Env = append(os.Environ(), parentOf+"="+dir)
				in, err := cmd.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				if line, err := bufio.NewReader(out).ReadString('\n'); line != "started\n" {
					t.Error(line, err)
				}
				_ = in.Close()
				if err := cmd.Wait(); err != nil {
					t.Error(err)
				}
				if _, err := os.Stat(filepath.Join(dir, clusterDir)); err != nil {
					t.Error(err)
				}
				if mode := modeOf(t, dir); mode != 0o700 {
					t.Errorf("the data folder has mode %o", mode)
				}
			}
		})
	}
}

// TestLetIn checks that only a closed folder of root is repaired.
func TestLetIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, test := range map[string]struct{ before, after fs.FileMode }{
		"closed": {0o700, 0o711}, "group": {0o750, 0o751}, "open": {0o755, 0o755}, "enterable": {0o711, 0o711},
	} {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, test.before); err != nil {
			t.Fatal(err)
		}
		if err := LetIn(path); err != nil {
			t.Fatal(err)
		}
		want := test.after
		if os.Geteuid() != 0 {
			want = test.before
		}
		if got := modeOf(t, path); got != want {
			t.Errorf("%s: mode %o, want %o", name, got, want)
		}
	}
	if err := LetIn(filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
}

// TestLetRun checks that all users can run programs unpacked under a strict umask,
// and that only the owner can change programs unpacked under a loose one.
func TestLetRun(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string][2]fs.FileMode{"strict": {0o700, 0o600}, "loose": {0o777, 0o666}} {
		dir := filepath.Join(t.TempDir(), name)
		program, library, folder := filepath.Join(dir, "bin", "postgres"), filepath.Join(dir, "lib.so"), filepath.Join(dir, "bin")
		mustWrite(t, program, "", 0o600)
		mustWrite(t, library, "", 0o600)
		if err := os.Symlink("/etc", filepath.Join(dir, "out")); err != nil {
			t.Fatal(err)
		}
		for path, mode := range map[string]fs.FileMode{program: mode[0], library: mode[1], folder: mode[0]} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		if err := letRun(dir); err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]fs.FileMode{dir: 0o755, folder: 0o755, program: 0o755, library: 0o644} {
			if got := modeOf(t, path); got != want {
				t.Errorf("%s: %s has mode %o, want %o", name, path, got, want)
			}
		}
	}
}

// TestWhere checks that data in the fallback folder stays there.
func TestWhere(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		return // there is no such folder then
	}
	path := filepath.Join(reachable(t), "data")
	if got := where(path); got != path {
		t.Errorf("new data is in %s", got)
	}
	standIn := fallback(path)
	if err := MakeFolder(standIn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(standIn) })
	mustWrite(t, filepath.Join(standIn, ownerLock), "", 0o600)
	if got := where(path); got != standIn {
		t.Errorf("data in %s is looked for in %s", standIn, got)
	}
	mustWrite(t, filepath.Join(path, ownerLock), "", 0o600)
	if got := where(path); got != path {
		t.Errorf("data in both is looked for in %s", got)
	}
}
