package delivery

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Run is an image that an environment runs, or ran, since a commit.
type Run struct {
	Environment string `json:"environment"`
	Image       Image  `json:"image"`
	Commit      Commit `json:"commit"`
}

// History returns the images in an environment and the commits that set them, the
// newest first. With all, it includes earlier images.
func History(ctx context.Context, r Repository, environment string, all bool) ([]Run, error) {
	if !slices.Contains(Environments(), environment) {
		return nil, fmt.Errorf("there is no environment %q, but %s", environment, strings.Join(Environments(), ", "))
	}
	commits, err := r.log(ctx, "--", Path(environment))
	if err != nil {
		return nil, err
	}
	var runs []Run
	before := map[string]string{} // digests
	for _, c := range slices.Backward(commits) {
		images, err := r.images(ctx, environment, c.ID)
		if err != nil {
			continue // the file was invalid or had another format
		}
		for _, i := range images {
			if before[i.Key] != i.Digest {
				runs = append(runs, Run{environment, i, c})
			}
			before[i.Key] = i.Digest
		}
	}
	slices.Reverse(runs)
	if all {
		return runs, nil
	}
	var now []Run
	for _, key := range keys() {
		if i := slices.IndexFunc(runs, func(r Run) bool { return r.Image.Key == key }); i >= 0 {
			now = append(now, runs[i])
		}
	}
	return now, nil
}

// Group lists the changes of one part.
type Group struct {
	Part    string   `json:"part"`
	Commits []Commit `json:"commits"`
}

// Changelog groups the commits of a git range, such as v1.0.0..HEAD, by the part of
// the system that they change.
func Changelog(ctx context.Context, r Repository, commits string) ([]Group, error) {
	if strings.HasPrefix(commits, "-") { // git would parse it as an option
		return nil, fmt.Errorf("%q are no commits", commits)
	}
	everything, err := r.log(ctx, "--no-merges", commits, "--")
	if err != nil {
		return nil, err
	}
	parts := []struct {
		name  string
		paths []string
	}{
		{"login", []string{"services/login"}},
		{"menu", []string{"services/menu"}},
		{"order", []string{"services/order"}},
		{"migrations", []string{"migrations"}},
		{"what the services share", []string{"pkg"}},
		{"charts and environments", []string{"helm", "deploy/environments", "deploy/argocd"}},
	}
	var groups []Group
	told := map[string]bool{}
	for _, part := range parts {
		found, err := r.log(ctx, append([]string{"--no-merges", commits, "--"}, part.paths...)...)
		if err != nil {
			return nil, err
		}
		found = slices.DeleteFunc(found, func(c Commit) bool { return told[c.ID] }) // listed before
		for _, c := range found {
			told[c.ID] = true
		}
		if len(found) > 0 {
			groups = append(groups, Group{part.name, found})
		}
	}
	rest := slices.DeleteFunc(everything, func(c Commit) bool { return told[c.ID] })
	if len(rest) > 0 {
		groups = append(groups, Group{"everything else", rest})
	}
	return groups, nil
}
