package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// base is what the documents are compared with.
type base struct {
	Commit string `json:"commit"`
	Why    string `json:"why"` // how it was chosen
}

// findBase returns the given revision, else the last release. While nothing is
// released, nobody can rely on more than what is on main: then it is where this
// branch left it, and on main itself the commit before.
func findBase(ctx context.Context, dir, revision string) (base, error) {
	if revision != "" {
		return resolve(ctx, dir, revision, "as asked for")
	}
	if tag, err := git(ctx, dir, "describe", "--tags", "--abbrev=0", "--match", "v*"); err == nil {
		return resolve(ctx, dir, tag, "the last release")
	}
	head, err := git(ctx, dir, "rev-parse", "HEAD")
	if err != nil {
		return base{}, err
	}
	for _, branch := range []string{"origin/main", "main"} {
		left, err := git(ctx, dir, "merge-base", "HEAD", branch)
		if err == nil && left != head {
			return resolve(ctx, dir, left, "nothing is released yet; where this branch left "+branch)
		}
	}
	return resolve(ctx, dir, "HEAD~1", "nothing is released yet; the commit before")
}

func resolve(ctx context.Context, dir, revision, why string) (base, error) {
	commit, err := git(ctx, dir, "rev-parse", "--verify", "--quiet", "--end-of-options", revision+"^{commit}")
	if err != nil {
		return base{}, fmt.Errorf("there is no revision %s (in a shallow clone: fetch it, or all of the history with its tags)", revision)
	}
	return base{commit, fmt.Sprintf("%s (%s)", revision[:min(len(revision), 12)], why)}, nil
}

// documentsAt returns the paths of all documents in a revision.
func documentsAt(ctx context.Context, dir, commit string) ([]string, error) {
	listed, err := git(ctx, dir, "ls-tree", "-r", "--name-only", commit, "--", "services")
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(strings.Split(listed, "\n"), func(path string) bool {
		parts := strings.Split(path, "/")
		return len(parts) != 4 || parts[2] != "api" || parts[3] != openAPI && parts[3] != asyncAPI
	}), nil
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", args...) //nolint:gosec // the revision is the developer's own, after --end-of-options
	command.Dir = dir
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], errors.Join(err, errors.New(strings.TrimSpace(stderr.String()))))
	}
	return strings.TrimRight(string(out), "\n"), nil
}
