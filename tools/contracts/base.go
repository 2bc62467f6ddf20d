package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// base is what the documents are compared with.
type base struct {
	Commit string `json:"commit"`
	Why    string `json:"why"` // how it was chosen

	// Merged is up to where the history was reviewed: what breaks there already was
	// accepted when it was merged.
	Merged string `json:"merged"`
}

// findBase returns the given revision, else the last release. While nothing is
// released, nobody can rely on more than what is merged. It refuses a shallow
// clone, where releases and what is merged are not seen and all would pass.
func findBase(ctx context.Context, dir, revision string) (base, error) {
	if shallow, err := git(ctx, dir, "rev-parse", "--is-shallow-repository"); err != nil || shallow == "true" {
		return base{}, errors.Join(err, errors.New("the history is needed whole, with its tags, and this is a shallow clone"))
	}
	merged, err := findMerged(ctx, dir)
	if err != nil {
		return base{}, err
	}
	why := "as asked for"
	if revision == "" {
		why = "the last release"
		if revision, err = git(ctx, dir, "describe", "--tags", "--abbrev=0", "--match", "v*"); err != nil {
			revision, why = merged, "nothing is released yet, so with what is merged"
		}
	}
	commit, err := git(ctx, dir, "rev-parse", "--verify", "--quiet", "--end-of-options", revision+"^{commit}")
	if err != nil {
		return base{}, fmt.Errorf("there is no revision %s", revision)
	}
	return base{commit, fmt.Sprintf("%s (%s)", revision[:min(len(revision), 12)], why), merged}, nil
}

// findMerged returns where this branch left the main one: that of the origin, else
// the local one. Who works on the local main branch, without an origin, is asked
// about the last commit.
func findMerged(ctx context.Context, dir string) (string, error) {
	if left, err := git(ctx, dir, "merge-base", "HEAD", "origin/main"); err == nil {
		return left, nil
	}
	head, err := git(ctx, dir, "rev-parse", "HEAD")
	if err != nil {
		return "", err
	}
	if left, err := git(ctx, dir, "merge-base", "HEAD", "main"); err == nil && left != head {
		return left, nil
	}
	if before, err := git(ctx, dir, "rev-parse", "--verify", "--quiet", "HEAD~1"); err == nil {
		return before, nil
	}
	return head, nil // the first commit
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
