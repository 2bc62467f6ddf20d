package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Repository is a checkout of this repository.
type Repository struct{ Root string }

// Commit is a git commit.
type Commit struct {
	ID      string    `json:"commit"`
	Time    time.Time `json:"time"`
	Author  string    `json:"author"`
	Subject string    `json:"subject"`
}

func (r Repository) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = r.Root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}

// images returns the images of an environment at a revision.
func (r Repository) images(ctx context.Context, environment, revision string) ([]Image, error) {
	if strings.HasPrefix(revision, "-") { // git would parse it as an option
		return nil, fmt.Errorf("%q is no commit", revision)
	}
	text, err := r.git(ctx, "show", revision+":"+Path(environment))
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

// log returns commits, the newest first.
func (r Repository) log(ctx context.Context, args ...string) ([]Commit, error) {
	out, err := r.git(ctx, append([]string{"log", "--format=%H%x1f%cI%x1f%an%x1f%s%x1e"}, args...)...)
	if err != nil {
		return nil, err
	}
	var all []Commit
	for entry := range strings.SplitSeq(out, "\x1e") {
		fields := strings.Split(strings.TrimSpace(entry), "\x1f")
		if len(fields) != 4 {
			continue
		}
		at, err := time.Parse(time.RFC3339, fields[1])
		if err != nil {
			return nil, err
		}
		all = append(all, Commit{fields[0], at, fields[2], fields[3]})
	}
	return all, nil
}

// between returns the commits that can have changed one image into another.
func (r Repository) between(ctx context.Context, from, to Image) ([]Commit, error) {
	for _, commit := range []string{from.commit(), to.commit()} {
		if _, err := r.git(ctx, "rev-parse", "--verify", "--quiet", commit+"^{commit}"); err != nil {
			return nil, errUnknown
		}
	}
	return r.log(ctx, append([]string{from.commit() + ".." + to.commit(), "--"}, to.sources()...)...)
}

// errUnknown means that a tag has no commit in this clone, which may be shallow.
var errUnknown = errors.New("commits unknown in this clone")
