// Package tool builds Prometheus and promtool at the version pinned in
// tools/prometheus. It includes only file-based service discovery: the other kinds
// are for clusters, and make up most of the program.
package tool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Build builds a tool unless it is current, and returns its path in .local/bin of
// the repository. A build takes minutes and is announced in log.
func Build(ctx context.Context, name string, log io.Writer) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, ".local", "bin", name)
	if current(path, filepath.Join(root, "tools", "prometheus")) {
		return path, nil
	}
	if _, err := fmt.Fprintf(log, "building %s, once, which takes minutes\n", name); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", "remove_all_sd", "-o", path, "github.com/prometheus/prometheus/cmd/"+name)
	cmd.Dir = filepath.Join(root, "tools", "prometheus")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return path, nil
}

// current reports whether a program exists and is no older than its go.mod and
// go.sum.
func current(path, module string) bool {
	built, err := os.Stat(path)
	if err != nil {
		return false
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if pin, err := os.Stat(filepath.Join(module, name)); err != nil || pin.ModTime().After(built.ModTime()) {
			return false
		}
	}
	return true
}

// Root returns the root of the repository that contains the working folder.
func Root() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.work")); err == nil {
			return folder, nil
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", errors.New("not in the repository: no go.work above the working folder")
		}
		folder = parent
	}
}
