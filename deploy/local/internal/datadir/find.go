package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gofrs/flock"
)

// depth limits how deep Find searches below a folder.
const depth = 5

// Find returns the data folders at and below root: those that Open has ever
// locked, in use or not. It skips folders that it may not read.
func Find(root string) ([]string, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	return find(root, depth)
}

// Is reports whether a folder is a data folder.
func Is(path string) bool {
	info, err := os.Lstat(filepath.Join(path, lockFile))
	return err == nil && info.Mode().IsRegular()
}

func find(folder string, depth int) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for data folders: %w", err)
	}
	var found []string
	for _, e := range entries {
		switch {
		case e.Name() == lockFile && e.Type().IsRegular():
			found = append(found, folder)
		case e.IsDir() && depth > 0 && !slices.Contains(Contents(), e.Name()):
			below, err := find(filepath.Join(folder, e.Name()), depth-1)
			if err != nil {
				return nil, err
			}
			found = append(found, below...)
		}
	}
	return found, nil
}

// Contents returns the names of the files and folders that the stack and make
// observe keep in a data folder.
func Contents() []string {
	return []string{Database, Events, Metrics, "bin", "targets.json", "targets.json.new", secretsFile, secretsFile + ".new"}
}

// Check returns ErrInUse if a process uses the data folder: a stack, or a
// Prometheus that monitors it.
func Check(path string) error {
	for _, use := range []struct{ file, what string }{
		{lockFile, "the stack is still running, stop it first"},
		{filepath.Join(Metrics, "data", "lock"), "make observe is still running, stop it first"},
	} {
		file := filepath.Join(path, use.file)
		is, err := locked(file)
		if err != nil {
			return fmt.Errorf("see whether %s is in use: %w", path, err)
		}
		if is {
			return fmt.Errorf("%s: data folder %s: %w%s", use.what, path, ErrInUse, holder(filepath.Dir(file)))
		}
	}
	return nil
}

// Running reports whether a stack uses the data folder.
func Running(path string) (bool, error) {
	is, err := locked(filepath.Join(path, lockFile))
	if err != nil {
		return false, fmt.Errorf("see whether a system runs in %s: %w", path, err)
	}
	return is, nil
}

// locked reports whether a process holds the lock on file. A missing file is not
// locked.
func locked(file string) (bool, error) {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	lock := flock.New(file, flock.SetFlag(os.O_RDONLY))
	ok, err := lock.TryRLock()
	if err != nil {
		return false, err
	}
	return !ok, lock.Unlock()
}
