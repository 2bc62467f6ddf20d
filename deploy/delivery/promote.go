package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	built "example.com/pizza/deploy/images"
)

// Change is an image that an environment runs in the place of another.
type Change struct {
	From    Image    `json:"from"`
	To      Image    `json:"to"`
	Commits []Commit `json:"commits"` // that lead from one to the other
	Unknown bool     `json:"unknown,omitempty"`
}

// Plan is what was changed in an environment.
type Plan struct {
	Environment string   `json:"environment"`
	Source      string   `json:"source"` // where the images come from: an environment, or a commit
	Back        bool     `json:"back,omitempty"`
	Changes     []Change `json:"changes"`
}

// Promote has an environment run what the one before it runs: one service, or all
// of them when service is empty. The migration comes along with either, because the
// schema may be ahead of services and never behind, and so does the chart, with which
// the images were tested. Everything that changes must be signed, and every image must
// have passed the checks of the environment that it comes from with this very chart;
// otherwise nothing is changed.
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

// ErrNothing says that what should run runs already.
var ErrNothing = errors.New("nothing to change: the same images run there already")

// change has p.Environment run images of source, each of which must be allowed.
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
		if another || c.From.Digest != c.To.Digest { // an image that stays meets another chart
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

// Rollback has an environment run what it ran at an older commit, of one service or
// of all, with the chart of then. Previous means before the last change of these,
// whatever else has changed there since. The schema goes forward only, and
// services of before run on it (design: expand first): a migration of before finds a
// newer schema and leaves it. With one service alone the lines of the migration and of
// the chart stay, which the others may need.
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

// Previous is the revision before the last change of what is to go back.
const Previous = "previous"

// previous returns the newest commit at which an environment ran another image of the
// chosen ones. The commit before the last would often not do: it may have changed
// other services only, or a comment.
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
			continue // of a time when the file was otherwise, or wrong
		}
		for _, key := range chosen {
			if of(then, key).Digest != of(now, key).Digest {
				return c.ID, nil
			}
		}
	}
	return "", fmt.Errorf("%s has run nothing else of %s before", environment, strings.Join(chosen, ", "))
}

// Publish has the first environment run images that were just built, or the chart. They
// must be signed; that is all that can be said of them yet.
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
