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

// Revision is the state of what an image is made of.
type Revision struct {
	Commit string    // that touched it last; with "-dirty" when it differs from that
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

// RevisionOf reads the revision of an image's inputs.
func RevisionOf(ctx context.Context, root string, s Spec) (Revision, error) {
	inputs, err := Inputs(ctx, root, s)
	if err != nil {
		return Revision{}, err
	}
	paths := append([]string{"--"}, inputs...)
	out, err := git(ctx, root, append([]string{"log", "-1", "--format=%H %ct"}, paths...)...)
	if err != nil {
		return Revision{}, err
	}
	commit, seconds, ok := strings.Cut(out, " ")
	if !ok {
		return Revision{}, fmt.Errorf("no commit has touched what is in %s", s.Name)
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
