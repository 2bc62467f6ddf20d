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
type Cluster struct{ Kubectl string } // the program, configured by KUBECONFIG

// application is Argo CD's Application of a service in an environment.
type application struct {
	Metadata struct{ Name string }
	Status   struct {
		Sync struct {
			Status     string
			Revisions  []string
			ComparedTo struct{ Sources []source }
		}
		Health         struct{ Status string }
		OperationState struct {
			Phase      string
			FinishedAt time.Time
			SyncResult struct {
				Revisions []string
				Sources   []source
				Resources []resource
			}
		}
	}
}

// source is a source of an Application. The first is the chart, and the second the
// values (deploy/argocd/applications.yaml). Revisions have the same order.
type source struct{ RepoURL, Ref string }

// target is the state that an Application was synced to or compared with.
type target struct {
	field     string // of the Application
	revisions []string
	sources   []source
}

// targets returns the targets of the last sync and of the latest comparison.
func (a application) targets() [2]target {
	s, r := a.Status.Sync, a.Status.OperationState.SyncResult
	return [...]target{
		{"status.operationState.syncResult", r.Revisions, r.Sources},
		{"status.sync", s.Revisions, s.ComparedTo.Sources},
	}
}

// read returns the digest of the chart, whose source must be the given one, and the commit of main.
func (t target) read(chart string) (digest, revision string, err error) {
	if len(t.revisions) != 2 || len(t.sources) != 2 || t.sources[0].RepoURL != chart || t.sources[1].Ref == "" {
		return "", "", fmt.Errorf("%s is at %q of %+v, must be at a digest of %s and a commit of values",
			t.field, t.revisions, t.sources, chart)
	}
	return t.revisions[0], t.revisions[1], nil
}

// resource is the result of a sync for an object.
type resource struct {
	Kind, Name, HookType, HookPhase string
	Images                          []string
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
		return a, fmt.Errorf("the cluster was asked for the Application %s: %w", name, err)
	}
	if a.Metadata.Name != name {
		return a, fmt.Errorf("the cluster was asked for the Application %s and answered with %q", name, a.Metadata.Name)
	}
	return a, nil
}

// synced returns an error unless the sync has finished successfully.
func (a application) synced() error {
	var against []error
	want := func(field, is, want string) {
		if is != want {
			against = append(against, fmt.Errorf("%s: %s is %q, must be %q", a.Metadata.Name, field, is, want))
		}
	}
	operation := a.Status.OperationState
	want("status.sync.status", a.Status.Sync.Status, "Synced")
	want("status.health.status", a.Status.Health.Status, "Healthy")
	want("status.operationState.phase", operation.Phase, "Succeeded")
	for _, r := range operation.SyncResult.Resources {
		if r.HookType != "" {
			want("the phase of the hook "+r.Kind+"/"+r.Name, r.HookPhase, "Succeeded")
		}
	}
	return errors.Join(against...)
}

// deployed returns the images of a Deployment that the sync has applied. A sync leaves out
// what is in sync already: then the Application, which is synced and healthy, runs what
// its commit says. The images of the pods are no help: a project that permits only the
// kinds of the charts hides pods from the summary of its Applications.
func (a application) deployed(name string) (images []string, applied bool) {
	for _, r := range a.Status.OperationState.SyncResult.Resources {
		if r.Kind == "Deployment" && r.Name == name {
			return r.Images, true
		}
	}
	return nil, false
}

// ran reports whether a sync ran a Job as a hook.
func (a application) ran(hook, job string) (resource, error) {
	for _, r := range a.Status.OperationState.SyncResult.Resources {
		if r.Kind == "Job" && r.Name == job && r.HookType == hook {
			return r, nil
		}
	}
	return resource{}, fmt.Errorf("%s: the sync ran no %s hook Job/%s", a.Metadata.Name, hook, job)
}

// runs reports whether images contain an image, possibly with a tag before the digest.
func (e Evidence) runs(i Image, images []string) bool {
	repository := e.Registry + "/" + i.Repository()
	return slices.ContainsFunc(images, func(image string) bool {
		name, digest, _ := strings.Cut(image, "@")
		return digest == i.Digest && (name == repository || strings.HasPrefix(name, repository+":"))
	})
}

// Attest signs that a service in an environment, and the migration that its sync has
// applied, passed the checks of that sync. The cluster is the only source for this. It
// must be synced to the given revision (any, if empty) with the chart that this
// revision pins, run its images, and have placed an order.
func Attest(
	ctx context.Context, r Repository, e Evidence, cluster Cluster, environment, service, revision string,
) (Checks, []Image, error) {
	if !slices.Contains(Environments(), environment) {
		all := strings.Join(Environments(), ", ")
		return Checks{}, nil, fmt.Errorf("there is no environment %q, but %s", environment, all)
	}
	if !slices.Contains(Services(), service) {
		return Checks{}, nil, fmt.Errorf("there is no service %q, but %s", service, strings.Join(Services(), ", "))
	}
	if revision != "" && !commit.MatchString(revision) {
		return Checks{}, nil, fmt.Errorf("the revision must be a commit of 40 hex digits, not %q", revision)
	}
	if err := e.apart(); err != nil {
		return Checks{}, nil, err
	}
	a, err := cluster.application(ctx, "pizza-"+environment+"-"+service)
	if err != nil {
		return Checks{}, nil, err
	}
	if err := a.synced(); err != nil {
		return Checks{}, nil, err
	}
	_, synced, err := a.targets()[0].read(e.charts())
	if err == nil && revision != "" && synced != revision {
		err = fmt.Errorf("%s: status.operationState.syncResult.revisions[1] is %q, must be %q", a.Metadata.Name, synced, revision)
	}
	if err != nil {
		return Checks{}, nil, err
	}
	images, chart, err := r.synced(ctx, e, a, environment, service)
	if err != nil {
		return Checks{}, nil, err
	}
	migration, err := a.ran("PreSync", "migrate-"+service)
	if err != nil {
		return Checks{}, nil, err
	}
	if _, err := a.ran("PostSync", "smoke-"+service); err != nil {
		return Checks{}, nil, err
	}
	c := Checks{
		Environment: environment, Revision: synced,
		Checks: []string{"sync", "smoke"}, Time: a.Status.OperationState.FinishedAt,
	}
	if err := e.Signed(ctx, chart); err != nil {
		return c, nil, err
	}
	for _, i := range images {
		running, applied := migration.Images, true
		if i.Key != Migration {
			running, applied = a.deployed(service + "-deploy")
		}
		if applied && !e.runs(i, running) {
			ran := strings.Join(running, ", ")
			return c, nil, fmt.Errorf("%s ran %s, not %s of commit %s", a.Metadata.Name, ran, e.reference(i), c.Revision)
		}
		if err := e.Signed(ctx, i); err != nil {
			return c, nil, err
		}
	}
	for _, i := range images {
		if err := e.Attest(ctx, i, c); err != nil {
			return c, nil, err
		}
	}
	return c, images, nil
}

var commit = regexp.MustCompile(`^[0-9a-f]{40}$`)

// charts returns the address that Argo CD pulls the chart from.
func (e Evidence) charts() string {
	return "oci://" + e.Registry + "/" + Image{Key: Chart}.Repository()
}

// synced returns the images and the pinned chart that an Application was synced to.
// Later commits on main must not have changed these.
func (r Repository) synced(ctx context.Context, e Evidence, a application, environment, service string) (
	images []Image, chart Image, err error,
) {
	chosen, err := choose(service, true)
	if err != nil {
		return nil, chart, err
	}
	for _, t := range a.targets() {
		digest, revision, err := t.read(e.charts())
		if err != nil {
			return nil, chart, fmt.Errorf("%s: %w", a.Metadata.Name, err)
		}
		known := commit.MatchString(revision)
		if known {
			_, err := r.git(ctx, "merge-base", "--is-ancestor", revision, "HEAD")
			known = err == nil
		}
		if !known {
			return nil, chart, fmt.Errorf("%s is at %q, which is not a commit that led here", a.Metadata.Name, revision)
		}
		all, err := r.images(ctx, environment, revision)
		if err != nil {
			return nil, chart, err
		}
		chart = of(all, Chart)
		if digest != chart.Digest {
			return nil, chart, fmt.Errorf("%s: %s.revisions[0] is %q, must be the chart that %s pins, %q",
				a.Metadata.Name, t.field, digest, revision, chart.Digest)
		}
		these := []Image{chart}
		for _, key := range chosen {
			these = append(these, of(all, key))
		}
		if images != nil && !slices.Equal(images, these) {
			return nil, chart, fmt.Errorf("%s: %s.revisions[1] is %s, whose images and chart are not those of the last sync",
				a.Metadata.Name, t.field, revision)
		}
		images = these
	}
	return images[1:], chart, nil
}
