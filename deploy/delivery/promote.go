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
	From, To Image
	Commits  []string // between the two
}

// Plan lists the changes in an environment, which may be none.
type Plan struct {
	Environment string
	Source      string // of the images: an environment or a commit
	Back        bool
	Changes     []Change
}

// Promote sets the images of an environment to those of the previous environment, so
// that none is skipped: one service, or all if service is empty. The migration is
// always included, because the schema may be ahead of services but never behind. So is
// the chart, because the images were tested with it. Every change must be signed, and
// every image must have passed the checks of the previous environment with the same
// chart. Otherwise nothing is changed.
func Promote(ctx context.Context, r Repository, e Evidence, to, service string) (Plan, error) {
	all, err := r.Environments()
	if err != nil {
		return Plan{}, err
	}
	next := slices.Index(all, to)
	if next < 1 {
		return Plan{}, fmt.Errorf("TO: unknown environment %q (%s)", to, strings.Join(all[1:], ", "))
	}
	from := all[next-1]
	chosen, err := choose(service)
	if err := errors.Join(err, e.apart()); err != nil {
		return Plan{}, err
	}
	source, err := r.images(ctx, from, "HEAD")
	if err != nil {
		return Plan{}, err
	}
	if service != "" {
		chosen = append(chosen, Migration, Chart)
	}
	chart := of(source, Chart)
	return r.change(ctx, Plan{Environment: to, Source: from}, source, chosen, func(i Image) error {
		if i.Key == Chart {
			return e.Signed(ctx, i)
		}
		return errors.Join(e.Signed(ctx, i), e.Passed(ctx, i, from, chart))
	})
}

// choose returns the keys of the lines to move: one service, or everything.
func choose(service string) ([]string, error) {
	if service == "" {
		return keys(), nil
	}
	if !slices.Contains(Services(), service) {
		return nil, fmt.Errorf("SERVICE: unknown service %q (%s)", service, strings.Join(Services(), ", "))
	}
	return []string{service}, nil
}

// change sets images of p.Environment to those of source, if all are allowed.
func (r Repository) change(
	ctx context.Context, p Plan, source []Image, chosen []string, allowed func(Image) error,
) (Plan, error) {
	now, err := r.images(ctx, p.Environment, "HEAD")
	if err != nil {
		return p, err
	}
	var images []Image
	var refused []error
	another := slices.Contains(chosen, Chart) && of(now, Chart).Digest != of(source, Chart).Digest
	for _, key := range chosen {
		from, to := of(now, key), of(source, key)
		if another || from.Digest != to.Digest { // an unchanged image gets another chart
			refused = append(refused, allowed(to))
		}
		if from.Digest == to.Digest {
			continue
		}
		first, last := from, to
		if p.Back {
			first, last = to, from
		}
		p.Changes = append(p.Changes, Change{from, to, r.between(ctx, first, last)})
		images = append(images, to)
	}
	if err := errors.Join(refused...); err != nil || len(images) == 0 {
		return p, err
	}
	return p, r.write(ctx, p.Environment, images)
}

// Rollback resets the images of one service or of all, and the chart, to those of an
// older commit. Previous is the one before their last change, regardless of other
// changes since. The schema never goes back, and older services run on it (expand
// first): an older migration leaves a newer schema unchanged. For one service, the
// lines of the migration and the chart stay, because the others may need them.
func Rollback(ctx context.Context, r Repository, e Evidence, environment, revision, service string) (Plan, error) {
	chosen, err := choose(service)
	if err := errors.Join(err, r.checkEnvironment(environment)); err != nil {
		return Plan{}, err
	}
	if revision == Previous {
		if revision, err = r.before(ctx, environment, chosen); err != nil {
			return Plan{}, err
		}
	}
	source, err := r.images(ctx, environment, revision)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Environment: environment, Source: revision, Back: true}
	return r.change(ctx, p, source, chosen, func(i Image) error { return e.Signed(ctx, i) })
}

// Previous is the revision before the last change of the images to roll back.
const Previous = "previous"

// Publish sets newly built images, or the chart, in the first environment. They must
// be signed; there are no checks of them yet.
func Publish(ctx context.Context, r Repository, e Evidence, images []Image) (Plan, error) {
	all, err := r.Environments()
	if err != nil {
		return Plan{}, err
	}
	source, err := r.images(ctx, all[0], "HEAD")
	if err != nil {
		return Plan{}, err
	}
	var chosen []string
	for _, i := range images {
		if strings.HasSuffix(i.Tag, built.Dirty) {
			return Plan{}, fmt.Errorf("%s was built of changes that are not committed (%s)", i.Key, i.Tag)
		}
		chosen = append(chosen, i.Key)
		source[slices.IndexFunc(source, func(n Image) bool { return n.Key == i.Key })] = i
	}
	p := Plan{Environment: all[0], Source: "release"}
	return r.change(ctx, p, source, chosen, func(i Image) error { return e.Signed(ctx, i) })
}
