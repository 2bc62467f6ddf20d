package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"example.com/pizza/deploy/local/internal/datadir"
)

// clean deletes the data in the named folder. The default is .local, together
// with the build results in it and the coverage folder. Other files in .local
// stay, above all the data of other systems. Nothing is deleted while one of
// these systems runs.
func clean(args []string, getenv func(string) string, stdout io.Writer) error {
	flags := newFlags("local clean")
	data := flags.String("data", getenv("DATA"), "folder of the data (default .local in the repository, with all that was built)")
	if err := parse(flags, args); err != nil {
		return err
	}
	root, err := repository()
	if err != nil {
		return err
	}
	return forget(root, *data, stdout)
}

func forget(root, data string, stdout io.Writer) error {
	local := filepath.Join(root, ".local")
	path, err := filepath.Abs(dataDir(root, data))
	if err != nil {
		return err
	}
	folders, err := datadir.Find(local)
	if err != nil {
		return err
	}
	if datadir.Is(path) && !slices.Contains(folders, path) {
		folders = append(folders, path)
	}
	var running []error
	for _, folder := range folders {
		running = append(running, datadir.Check(folder))
	}
	if err := errors.Join(running...); err != nil {
		return fmt.Errorf("nothing was deleted: %w", err)
	}

	switch {
	case slices.Contains(folders, path):
		dir, err := datadir.Open(path)
		if err != nil {
			return err
		}
		if err := dir.Delete(); err != nil {
			return err
		}
		if err := say(stdout, "forgot the database, the events and the secrets in %s", path); err != nil {
			return err
		}
	case data != "":
		return fmt.Errorf("%s holds no data of make run", path)
	}
	if data != "" {
		return nil
	}
	for _, built := range []string{filepath.Join(local, "bin"), filepath.Join(local, "images"), filepath.Join(root, "coverage")} {
		if err := os.RemoveAll(built); err != nil {
			return fmt.Errorf("delete what was built: %w", err)
		}
	}
	return tellOfRest(local, stdout)
}

// tellOfRest lists what is still in .local.
func tellOfRest(local string, stdout io.Writer) error {
	folders, err := datadir.Find(local)
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if err := say(stdout, "kept the data in %[1]s; to forget it:  make clean DATA='%[1]s'", folder); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(local)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return os.Remove(local)
	}
	for _, e := range entries {
		if path := filepath.Join(local, e.Name()); !slices.Contains(folders, path) {
			if err := say(stdout, "kept %s", path); err != nil {
				return err
			}
		}
	}
	return nil
}

// repository returns the current folder or the nearest parent with a go.work.
func repository() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("current folder: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not in the repository: there is no go.work in it or above it", start)
		}
	}
}

// dataDir returns the data folder, by default .local in the repository.
func dataDir(root, data string) string { return or(data, filepath.Join(root, ".local")) }
