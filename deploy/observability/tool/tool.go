// Package tool builds Prometheus and promtool, of the version that the module in
// tools/prometheus is pinned to. Only service discovery by files is built in: the others
// are for clusters, and most of the program.
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

// Build builds a tool, unless that was done before, and returns its path below
// .local/bin of the repository. Building takes minutes; it is announced to log.
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

// current reports whether a program is there and no older than what pins its version.
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

// Root returns the folder of the repository that the working folder is in.
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
