package image

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Revision is the state of some sources.
type Revision struct {
	Commit string    // that touched them last; with "-dirty" when they differ from it
	Time   time.Time // of that commit
}

// Version is a short name of the revision.
func (r Revision) Version() string {
	commit, dirty, _ := strings.Cut(r.Commit, "-")
	if dirty != "" {
		dirty = "-" + dirty
	}
	return commit[:min(len(commit), short)] + dirty
}

// short is how much of a commit is in a tag.
const short = 8

// shared are files that every image is built of.
func shared() []string { return []string{"go.work", "go.work.sum", "deploy/images"} }

// RevisionOf reads the revision of an image's sources.
func RevisionOf(ctx context.Context, root string, s Spec) (Revision, error) {
	paths := append([]string{"--"}, append(shared(), s.Sources...)...)
	out, err := git(ctx, root, append([]string{"log", "-1", "--format=%H %ct"}, paths...)...)
	if err != nil {
		return Revision{}, err
	}
	commit, seconds, ok := strings.Cut(out, " ")
	if !ok {
		return Revision{}, fmt.Errorf("no commit has touched the sources of %s", s.Name)
	}
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return Revision{}, fmt.Errorf("time of commit %s: %w", commit, err)
	}
	changes, err := git(ctx, root, append([]string{"status", "--porcelain"}, paths...)...)
	if err != nil {
		return Revision{}, err
	}
	if changes != "" {
		commit += "-dirty"
	}
	return Revision{Commit: commit, Time: time.Unix(unix, 0).UTC()}, nil
}

// Tag returns the tag of the checkout: {branch}-{shortsha}, and "-dirty" with
// changes that are not committed.
func Tag(ctx context.Context, root string) (string, error) {
	commit, err := git(ctx, root, "rev-parse", "--short="+strconv.Itoa(short), "HEAD")
	if err != nil {
		return "", err
	}
	branch, err := git(ctx, root, "rev-parse", "--abbrev-ref", "HEAD")
	if err != nil {
		return "", err
	}
	changes, err := git(ctx, root, "status", "--porcelain")
	if err != nil {
		return "", err
	}
	tag := commit
	if branch != "HEAD" { // of no branch
		tag = notInTags.ReplaceAllString(branch, "-") + "-" + commit
	}
	if changes != "" {
		tag += "-dirty"
	}
	return tag, nil
}

var notInTags = regexp.MustCompile(`[^A-Za-z0-9_.]+`)

func git(ctx context.Context, root string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}
