package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"example.com/pizza/deploy/local/internal/datadir"
	"example.com/pizza/pkg/pgserver"
)

// clean forgets the data. What took time and knows nothing stays: the built
// programs and a downloaded PostgreSQL.
func clean(args []string, getenv func(string) string, stdout io.Writer) error {
	flags := newFlags("local clean")
	data := flags.String("data", getenv("DATA"), "folder for the data (default .local in the repository)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	root, err := repository()
	if err != nil {
		return err
	}
	dir, err := datadir.Open(dataDir(root, *data))
	if errors.Is(err, datadir.ErrInUse) {
		return fmt.Errorf("the stack still runs, stop it first: %w", err)
	}
	if err != nil {
		return err
	}
	err = errors.Join(pgserver.Remove(dir.Path(datadir.Database)), dir.Forget(), dir.Close())
	if err != nil {
		return fmt.Errorf("forget the data: %w", err)
	}
	_, err = fmt.Fprintf(stdout, "forgot the database, the events and the secrets in %s\n", dir.Path())
	return err
}

// repository returns the folder with the workspace file: the current one, or
// one above it.
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

// dataDir returns the folder for the data.
func dataDir(root, data string) string { return or(data, filepath.Join(root, ".local")) }
