package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Repository is a checkout of this repository.
type Repository struct{ Root string }

// Order is the file with all environments, in the order of promotion.
const Order = "deploy/environments/environments.yaml"

// Environments returns the environments, in the order of promotion.
func (r Repository) Environments() ([]string, error) {
	text, err := os.ReadFile(filepath.Join(r.Root, Order))
	if err != nil {
		return nil, err
	}
	var file struct {
		Environments []struct {
			Name string `json:"name"`
		} `json:"environments"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", Order, err)
	}
	var names []string
	for _, e := range file.Environments {
		names = append(names, e.Name)
	}
	if len(names) < 2 {
		return nil, fmt.Errorf("%s: environments must be at least two, not %q", Order, names)
	}
	return names, nil
}

// checkEnvironment returns an error if ENV is not one of the environments.
func (r Repository) checkEnvironment(name string) error {
	all, err := r.Environments()
	if err == nil && !slices.Contains(all, name) {
		err = fmt.Errorf("ENV: unknown environment %q (%s)", name, strings.Join(all, ", "))
	}
	return err
}

func (r Repository) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = r.Root
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		err = fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(exit.Stderr))
	}
	return string(out), err
}

// images returns the images of an environment at a revision.
func (r Repository) images(ctx context.Context, environment, revision string) ([]Image, error) {
	text, err := r.git(ctx, "show", "--end-of-options", revision+":"+Path(environment))
	if err != nil {
		return nil, err
	}
	return Parse(Path(environment), []byte(text))
}

// write changes the lines of images in the checkout. The file must not have uncommitted
// changes, so that they do not become part of this one.
func (r Repository) write(ctx context.Context, environment string, images []Image) error {
	changed, err := r.git(ctx, "status", "--porcelain", "--", Path(environment))
	if err != nil {
		return err
	}
	if changed != "" {
		return fmt.Errorf("%s has changes that are not committed: commit them, or git checkout %[1]s", Path(environment))
	}
	file := filepath.Join(r.Root, Path(environment))
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, Replace(text, images), 0o644)
}

// before returns the commit before the last change of the lines of images.
func (r Repository) before(ctx context.Context, environment string, keys []string) (string, error) {
	var names []string
	for _, key := range keys {
		names = append(names, Image{Key: key}.name())
	}
	// A merge counts as one change of main.
	parents, err := r.git(ctx, "log", "--first-parent", "--diff-merges=first-parent", "--no-patch",
		"--max-count=1", "--format=%P", "-G^("+strings.Join(names, "|")+"):", "--", Path(environment))
	if err != nil {
		return "", err
	}
	if parent := strings.Fields(parents); len(parent) > 0 {
		return parent[0], nil
	}
	return "", fmt.Errorf("%s has run nothing else of %s before", environment, strings.Join(keys, ", "))
}

// between describes the commits that can have changed one image into another, the newest first.
func (r Repository) between(ctx context.Context, from, to Image) []string {
	commits := from.commit() + ".." + to.commit()
	args := append([]string{"log", "--abbrev=8", "--format=%h %s (%an)", "--end-of-options", commits, "--"}, to.sources()...)
	out, err := r.git(ctx, args...)
	if err != nil { // the clone may be shallow
		return []string{commits + " is unknown in this clone"}
	}
	return strings.FieldsFunc(out, func(r rune) bool { return r == '\n' })
}
