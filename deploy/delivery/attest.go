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

// Cluster is where Argo CD is.
type Cluster struct{ Kubectl string } // the program, which finds it by KUBECONFIG

// application is what Argo CD says of a service in an environment.
type application struct {
	Metadata struct{ Name string }
	Status   struct {
		Sync           struct{ Status, Revision string }
		Health         struct{ Status string }
		OperationState struct {
			Phase      string
			FinishedAt time.Time
			SyncResult struct {
				Revision  string
				Resources []resource
			}
		}
		Summary struct{ Images []string } // of the pods
	}
}

// resource is what a sync did with an object.
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

// synced reports what speaks against a finished sync to a revision, or to any if that is empty.
func (a application) synced(revision string) error {
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
	if revision != "" {
		want("status.operationState.syncResult.revision", operation.SyncResult.Revision, revision)
	}
	for _, r := range operation.SyncResult.Resources {
		if r.HookType != "" {
			want("the phase of the hook "+r.Kind+"/"+r.Name, r.HookPhase, "Succeeded")
		}
	}
	return errors.Join(against...)
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

// runs reports whether an image is one of some, which may name a tag before the digest.
func (e Evidence) runs(i Image, images []string) bool {
	repository := e.Registry + "/" + i.Repository()
	return slices.ContainsFunc(images, func(image string) bool {
		name, digest, _ := strings.Cut(image, "@")
		return digest == i.Digest && (name == repository || strings.HasPrefix(name, repository+":"))
	})
}

// Attest writes down that a service in an environment, and the migration that its sync
// has applied, passed the checks of that sync. The cluster says so, and nobody else: it
// must be synced to the revision that is asked about (to any, if that is empty), run
// the images of that revision and have placed an order.
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
	if err := a.synced(revision); err != nil {
		return Checks{}, nil, err
	}
	images, err := r.synced(ctx, a, environment, service)
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
		Environment: environment, Revision: a.Status.OperationState.SyncResult.Revision,
		Checks: []string{"sync", "smoke"}, Time: a.Status.OperationState.FinishedAt,
	}
	for _, i := range images {
		running := a.Status.Summary.Images
		if i.Key == Migration {
			running = migration.Images
		}
		if !e.runs(i, running) {
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

// synced returns what an Application was synced to. Since then main may have gone on,
// but not with these images.
func (r Repository) synced(ctx context.Context, a application, environment, service string) ([]Image, error) {
	chosen, err := choose(service, true)
	if err != nil {
		return nil, err
	}
	var images []Image
	for _, revision := range []string{a.Status.OperationState.SyncResult.Revision, a.Status.Sync.Revision} {
		known := commit.MatchString(revision)
		if known {
			_, err := r.git(ctx, "merge-base", "--is-ancestor", revision, "HEAD")
			known = err == nil
		}
		if !known {
			return nil, fmt.Errorf("%s is at %q, which is not a commit that led here", a.Metadata.Name, revision)
		}
		all, err := r.images(ctx, environment, revision)
		if err != nil {
			return nil, err
		}
		var these []Image
		for _, key := range chosen {
			these = append(these, of(all, key))
		}
		if images != nil && !slices.Equal(images, these) {
			return nil, fmt.Errorf("%s: status.sync.revision is %s, whose images are not those of the last sync",
				a.Metadata.Name, revision)
		}
		images = these
	}
	return images, nil
}
