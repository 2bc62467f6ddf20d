package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	built "example.com/pizza/deploy/images"
)

// Change is the replacement of an image in an environment.
type Change struct {
	From    Image    `json:"from"`
	To      Image    `json:"to"`
	Commits []Commit `json:"commits"` // between the two
	Unknown bool     `json:"unknown,omitempty"`
}

// Plan lists the changes in an environment.
type Plan struct {
	Environment string   `json:"environment"`
	Source      string   `json:"source"` // of the images: an environment or a commit
	Back        bool     `json:"back,omitempty"`
	Changes     []Change `json:"changes"`
}

// Promote sets the images of an environment to those of the previous environment:
// one service, or all if service is empty. The migration is always included, because
// the schema may be ahead of services but never behind. So is the chart, because the
// images were tested with it. Every change must be signed, and every image must have
// passed the checks of the previous environment with the same chart. Otherwise
// nothing is changed.
func Promote(ctx context.Context, r Repository, e Evidence, from, to, service string) (Plan, error) {
	if err := stages(from, to); err != nil {
		return Plan{}, err
	}
	if err := e.apart(); err != nil {
		return Plan{}, err
	}
	chosen, err := choose(service, true)
	if err != nil {
		return Plan{}, err
	}
	source, err := r.images(ctx, from, "HEAD")
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Environment: to, Source: from}
	chart := of(source, Chart)
	err = r.change(ctx, &p, source, append(chosen, Chart), func(i Image) error {
		if i.Key == Chart {
			return e.Signed(ctx, i)
		}
		return errors.Join(e.Signed(ctx, i), e.PassedWith(ctx, i, from, chart, r))
	})
	return p, err
}

// stages: an image passes every environment.
func stages(from, to string) error {
	all := Environments()
	for _, name := range []string{from, to} {
		if !slices.Contains(all, name) {
			return fmt.Errorf("there is no environment %q, but %s", name, strings.Join(all, ", "))
		}
	}
	i, j := slices.Index(all, from), slices.Index(all, to)
	switch {
	case j == i+1:
		return nil
	case j > i+1:
		return fmt.Errorf("from %s to %s would skip %s: promote to %[3]s first", from, to, all[i+1])
	}
	return fmt.Errorf("%s does not come before %s: the way is %s", from, to, strings.Join(all, ", "))
}

// choose returns the keys of the images to move.
func choose(service string, migration bool) ([]string, error) {
	chosen := Services()
	if service != "" {
		if !slices.Contains(chosen, service) {
			return nil, fmt.Errorf("there is no service %q, but %s", service, strings.Join(chosen, ", "))
		}
		chosen = []string{service}
	}
	if migration {
		chosen = append(chosen, Migration)
	}
	return chosen, nil
}

// ErrNothing means that the wanted images are already set.
var ErrNothing = errors.New("nothing to change: the same images run there already")

// change sets images of p.Environment to those of source, if all are allowed.
func (r Repository) change(ctx context.Context, p *Plan, source []Image, chosen []string, allowed func(Image) error) error {
	now, err := r.images(ctx, p.Environment, "HEAD")
	if err != nil {
		return err
	}
	p.Changes = []Change{} // a list for programs, even when empty
	var images []Image
	var refused []error
	another := slices.Contains(chosen, Chart) && of(now, Chart).Digest != of(source, Chart).Digest
	for _, key := range chosen {
		c := Change{From: of(now, key), To: of(source, key)}
		if another || c.From.Digest != c.To.Digest { // an unchanged image gets another chart
			refused = append(refused, allowed(c.To))
		}
		if c.From.Digest == c.To.Digest {
			continue
		}
		first, last := c.From, c.To
		if p.Back {
			first, last = last, first
		}
		c.Commits, err = r.between(ctx, first, last)
		if c.Unknown = errors.Is(err, errUnknown); err != nil && !c.Unknown {
			return err
		}
		p.Changes, images = append(p.Changes, c), append(images, c.To)
	}
	if err := errors.Join(refused...); err != nil {
		return err
	}
	if len(images) == 0 {
		return ErrNothing
	}
	return r.write(ctx, p.Environment, images)
}

// Rollback resets the images of one service or of all, and the chart, to those of an
// older commit. Previous means before their last change, regardless of other changes
// since. The schema never goes back, and older services run on it (expand first): an
// older migration leaves a newer schema unchanged. For one service, the lines of the
// migration and the chart stay, because the others may need them.
func Rollback(ctx context.Context, r Repository, e Evidence, environment, revision, service string) (Plan, error) {
	if !slices.Contains(Environments(), environment) {
		return Plan{}, fmt.Errorf("there is no environment %q, but %s", environment, strings.Join(Environments(), ", "))
	}
	chosen, err := choose(service, service == "")
	if err != nil {
		return Plan{}, err
	}
	if service == "" {
		chosen = append(chosen, Chart)
	}
	if revision == Previous {
		if revision, err = r.previous(ctx, environment, chosen); err != nil {
			return Plan{}, err
		}
	}
	source, err := r.images(ctx, environment, revision)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Environment: environment, Source: revision, Back: true}
	err = r.change(ctx, &p, source, chosen, func(i Image) error { return e.Signed(ctx, i) })
	return p, err
}

// Previous is the revision before the last change of the images to roll back.
const Previous = "previous"

// previous returns the newest commit at which one of the chosen images was different.
// The commit before the last is often wrong: the last may have changed only other
// services, or a comment.
func (r Repository) previous(ctx context.Context, environment string, chosen []string) (string, error) {
	now, err := r.images(ctx, environment, "HEAD")
	if err != nil {
		return "", err
	}
	commits, err := r.log(ctx, "--", Path(environment))
	if err != nil {
		return "", err
	}
	for _, c := range commits {
		then, err := r.images(ctx, environment, c.ID)
		if err != nil {
			continue // the file was invalid or had another format
		}
		for _, key := range chosen {
			if of(then, key).Digest != of(now, key).Digest {
				return c.ID, nil
			}
		}
	}
	return "", fmt.Errorf("%s has run nothing else of %s before", environment, strings.Join(chosen, ", "))
}

// Publish sets newly built images, or the chart, in the first environment. They must
// be signed; there are no checks of them yet.
func Publish(ctx context.Context, r Repository, e Evidence, images []Image) (Plan, error) {
	first := Environments()[0]
	now, err := r.images(ctx, first, "HEAD")
	if err != nil {
		return Plan{}, err
	}
	var chosen []string
	for _, i := range images {
		if strings.HasSuffix(i.Tag, built.Dirty) {
			return Plan{}, fmt.Errorf("%s was built of changes that are not committed (%s)", i.Key, i.Tag)
		}
		chosen = append(chosen, i.Key)
		now[slices.IndexFunc(now, func(n Image) bool { return n.Key == i.Key })] = i
	}
	p := Plan{Environment: first, Source: "release"}
	err = r.change(ctx, &p, now, chosen, func(i Image) error { return e.Signed(ctx, i) })
	return p, err
}
