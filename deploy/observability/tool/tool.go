// Package tool builds Prometheus and promtool at the version pinned in tools. It
// includes only file-based service discovery: the other kinds are for clusters, and make
// up most of the program.
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
	cmd := exec.CommandContext(ctx, filepath.Join(root, "tools", "tool.sh"), name)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	return filepath.Join(root, ".local", "bin", name), nil
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
