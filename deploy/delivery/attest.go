package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Cluster is the cluster of Argo CD.
type Cluster struct {
	Kubectl string // the program, configured by KUBECONFIG

	// Patience is the time in which an unhealthy Application may recover. Soon after a
	// sync a healthy one turns Degraded for seconds: its HorizontalPodAutoscaler has no
	// metrics of the new pods yet.
	Patience time.Duration
}

// application is Argo CD's Application of a service in an environment. Revisions are those
// of its two sources (deploy/argocd): the digest of the chart, and the commit of main with
// the values. Both name content, wherever it was read from.
type application struct {
	Metadata struct{ Name string }
	Status   struct {
		Sync struct {
			Status    string
			Revisions []string
		}
		Health         struct{ Status string }
		OperationState struct {
			Phase      string
			FinishedAt time.Time
			SyncResult struct {
				Revisions []string
				Resources []result
			}
		}
	}
}

const healthy = "Healthy"

// result is the result of a sync for an object.
type result struct {
	Kind, Name, HookType, HookPhase string
	Images                          []string
}

// recovered returns an Application once it is healthy, or as it is when patience ends.
func (c Cluster) recovered(ctx context.Context, name string) (application, error) {
	for end := time.Now().Add(c.Patience); ; {
		a, err := c.application(ctx, name)
		if err != nil || a.Status.Health.Status == healthy || time.Now().After(end) {
			return a, err
		}
		select {
		case <-ctx.Done():
			return a, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func (c Cluster) application(ctx context.Context, name string) (a application, err error) {
	args := []string{"--namespace=argocd", "get", "applications.argoproj.io", name, "--output=json"}
	out, err := exec.CommandContext(ctx, c.Kubectl, args...).Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err == nil {
		err = json.Unmarshal(out, &a)
	}
	if err != nil {
		err = fmt.Errorf("the cluster was asked for the Application %s: %w", name, err)
	}
	return a, err
}

// synced returns an error unless the sync, and each of its hooks, has finished successfully.
func (a application) synced() error {
	var against []error
	want := func(field, is, want string) {
		if is != want {
			against = append(against, fmt.Errorf("%s: %s is %q, must be %q", a.Metadata.Name, field, is, want))
		}
	}
	operation := a.Status.OperationState
	want("status.sync.status", a.Status.Sync.Status, "Synced")
	want("status.health.status", a.Status.Health.Status, healthy)
	want("status.operationState.phase", operation.Phase, "Succeeded")
	for _, r := range operation.SyncResult.Resources {
		if r.HookType != "" {
			want("the phase of the hook "+r.Kind+"/"+r.Name, r.HookPhase, "Succeeded")
		}
	}
	return errors.Join(against...)
}

// applied returns the result of the last sync for an object, whose hook is empty if it is
// no hook.
func (a application) applied(kind, name, hook string) (result, error) {
	for _, r := range a.Status.OperationState.SyncResult.Resources {
		if r.Kind == kind && r.Name == name && r.HookType == hook {
			return r, nil
		}
	}
	return result{}, fmt.Errorf("%s: the sync ran no %s hook %s/%s", a.Metadata.Name, hook, kind, name)
}

// Attest signs that a service in an environment, and the migration that its sync has
// applied, passed the checks of that sync. The cluster is the only source for this. It
// must be synced to the given revision (any, if empty) with the chart that this
// revision pins, run its images, and have placed an order.
func Attest(
	ctx context.Context, r Repository, e Evidence, cluster Cluster, environment, service, revision string,
) (c Checks, images []Image, err error) {
	_, err = choose(service)
	if service == "" {
		err = fmt.Errorf("SERVICE: must be one of %s", strings.Join(Services(), ", "))
	}
	if err := errors.Join(err, r.checkEnvironment(environment), e.apart()); err != nil {
		return c, nil, err
	}
	a, err := cluster.recovered(ctx, "pizza-"+environment+"-"+service)
	if err != nil {
		return c, nil, err
	}
	if err := a.synced(); err != nil {
		return c, nil, err
	}
	// Later commits on main must not have changed what the sync has applied.
	last := a.Status.OperationState
	images, err = r.pinned(ctx, a, "operationState.syncResult", last.SyncResult.Revisions, environment, service)
	if err != nil {
		return c, nil, err
	}
	compared, err := r.pinned(ctx, a, "sync", a.Status.Sync.Revisions, environment, service)
	if err != nil {
		return c, nil, err
	}
	if !slices.Equal(images, compared) {
		return c, nil, fmt.Errorf("%s: status.sync.revisions[1] is %s, whose images and chart are not those of the last sync",
			a.Metadata.Name, a.Status.Sync.Revisions[1])
	}
	synced := last.SyncResult.Revisions[1]
	if revision != "" && synced != revision {
		return c, nil, fmt.Errorf("%s: status.operationState.syncResult.revisions[1] is %q, must be %q",
			a.Metadata.Name, synced, revision)
	}
	if err := a.ran(e, of(images, service), of(images, Migration)); err != nil {
		return c, nil, err
	}
	for _, i := range images {
		if err := e.Signed(ctx, i); err != nil {
			return c, nil, err
		}
	}
	c = Checks{environment, synced, of(images, Chart).Digest, []string{"sync", "smoke"}, last.FinishedAt}
	images = slices.DeleteFunc(images, func(i Image) bool { return i.Key == Chart })
	for _, i := range images {
		if err := e.Attest(ctx, i, c); err != nil {
			return c, nil, err
		}
	}
	return c, images, nil
}

// ran returns an error unless the last sync has run the images of a service and of its
// migration, and has placed an order. A sync leaves out a Deployment that is in sync
// already: then the Application, which is synced and healthy, runs what its commit says.
// The images of the pods are no help: a project that permits only the kinds of the charts
// hides pods from the summary of its Applications.
func (a application) ran(e Evidence, service, migration Image) error {
	migrated, err := a.applied("Job", "migrate-"+service.Key, "PreSync")
	_, smokeErr := a.applied("Job", "smoke-"+service.Key, "PostSync")
	if err := errors.Join(err, smokeErr); err != nil {
		return err
	}
	ran := map[Image]result{migration: migrated}
	if deployed, err := a.applied("Deployment", service.Key+"-deploy", ""); err == nil {
		ran[service] = deployed
	}
	for i, r := range ran {
		runs := func(image string) bool { return strings.HasSuffix(image, "@"+i.Digest) }
		if !slices.ContainsFunc(r.Images, runs) {
			return fmt.Errorf("%s ran %s, not %s", a.Metadata.Name, strings.Join(r.Images, ", "), e.reference(i))
		}
	}
	return nil
}

var commit = regexp.MustCompile(`^[0-9a-f]{40}$`)

// pinned returns the images of a service, and the chart, at revisions of an Application,
// which must be a commit that led here and the chart that it pins.
func (r Repository) pinned(
	ctx context.Context, a application, field string, revisions []string, environment, service string,
) ([]Image, error) {
	if len(revisions) != 2 {
		return nil, fmt.Errorf("%s: status.%s.revisions is %q, must be a digest and a commit",
			a.Metadata.Name, field, revisions)
	}
	digest, revision := revisions[0], revisions[1]
	led := commit.MatchString(revision)
	if led {
		_, err := r.git(ctx, "merge-base", "--is-ancestor", revision, "HEAD")
		led = err == nil
	}
	if !led {
		return nil, fmt.Errorf("%s: status.%s.revisions[1] is %q, must be a commit that led here",
			a.Metadata.Name, field, revision)
	}
	all, err := r.images(ctx, environment, revision)
	if err != nil {
		return nil, err
	}
	chart := of(all, Chart)
	if digest != chart.Digest {
		return nil, fmt.Errorf("%s: status.%s.revisions[0] is %q, must be the chart that %s pins, %q",
			a.Metadata.Name, field, digest, revision, chart.Digest)
	}
	return []Image{of(all, service), of(all, Migration), chart}, nil
}
