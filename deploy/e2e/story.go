package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// story runs the steps in order. Each one waits until its effect is visible.
func (w *walk) story(ctx context.Context) error {
	for _, s := range []struct {
		what string
		do   func(context.Context) (string, error)
	}{
		{"images built, pushed, signed; each environment is told to run them", w.first},
		{"Argo CD started, with its projects and Applications", w.install},
		{"first sync of dev and stg, by themselves", w.firstSyncs},
		{"prod waits for somebody, who syncs it", w.firstOfProd},
		{"scaled and a network policy deleted by hand in dev: healed", w.drift},
		{"scaled by the autoscaler in stg: left alone", w.autoscaled},
		{"a commit changes order: built, signed, published, in dev", w.change},
		{"its promotion to stg is refused before dev has passed it", w.tooEarly},
		{"passed in dev, promoted: in stg", w.toStg},
		{"passed in stg, promoted: prod shows it and waits", w.toProd},
		{"in the closed window nothing syncs by itself", w.window},
		{"synced by the one on call in the closed window, while customers order", w.inProd},
		{"a commit changes the chart: in dev, and nowhere else", w.chartInDev},
		{"the chart's promotion is refused before dev has passed with it", w.chartTooEarly},
		{"passed in dev with it, promoted: in stg", w.chartInStg},
		{"passed in stg with it, promoted and synced: in prod", w.chartInProd},
		{"rolled back: the chart of before in prod, and in prod alone", w.chartBack},
		{"a commit whose migration fails: dev stays as it is", w.badMigration},
		{"rolled back: in dev", w.back},
		{"order of stg handed to Argo Rollouts, while customers order", w.handOver},
		{"a good change of order, on half of the pods first", w.goodCanary},
		{"a bad change of order: rolled back by the analysis", w.badCanary},
		{"the pods of before start again, with the settings of before", w.restarted},
		{"reverted: in stg", w.revert},
		{"order of stg handed back by Argo Rollouts, while customers order", w.handBack},
	} {
		if err := w.step(s.what, func() (string, error) { return s.do(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// first sets every environment in the repository to the newest commit, with the
// settings of this cluster.
func (w *walk) first(ctx context.Context) (string, error) {
	if err := w.repository.clone(ctx, w.root); err != nil {
		return "", err
	}
	images, err := w.builder.build(ctx)
	if err != nil {
		return "", err
	}
	if err := w.repository.order(stages()); err != nil {
		return "", err
	}
	for _, name := range stages() {
		values := w.values(w.environments[name])
		if err := errors.Join(w.repository.merge(name, values), w.builder.name(name, images)); err != nil {
			return "", err
		}
	}
	return "", w.push(ctx, "Settings of this cluster, and its first images")
}

// push commits and pushes everything, and records the commit as the newest.
func (w *walk) push(ctx context.Context, message string) (err error) {
	w.commit, err = w.repository.push(ctx, message)
	return err
}

func (w *walk) install(ctx context.Context) (string, error) {
	if err := w.argocd.start(ctx, w.root); err != nil {
		return "", err
	}
	if err := w.followPage(ctx); err != nil {
		return "", err
	}
	if err := w.argocd.keepsNotifications(ctx); err != nil {
		return "", err
	}
	var names []string
	err := wait(ctx, "the Applications", 2*time.Minute, func(ctx context.Context) (bool, error) {
		names = nil
		for _, environment := range stages() {
			all, err := w.argocd.applications(ctx, environment)
			if err != nil {
				return false, err
			}
			for _, p := range all {
				names = append(names, p.Metadata.Name)
			}
		}
		return len(names) == 12, nil
	})
	return fmt.Sprintf("%d Applications", len(names)), err
}

// until waits until an environment runs the newest commit, and describes its
// pods.
func (w *walk) until(ctx context.Context, environment string) (string, error) {
	if err := w.argocd.refresh(ctx); err != nil {
		return "", err
	}
	if err := w.argocd.brought(ctx, environment, w.commit); err != nil {
		return "", err
	}
	return w.running(ctx, environment)
}

func (w *walk) firstSyncs(ctx context.Context) (string, error) {
	dev, err := w.until(ctx, "dev")
	if err != nil {
		return dev, err
	}
	// Argo CD labels the namespace, which the walk has made without the label.
	enforced, err := w.environments["dev"].kubectl(ctx, "get", "namespace", "pizza-dev", "-o", `jsonpath={.metadata.labels.pod-security\.kubernetes\.io/enforce}`)
	if err != nil || enforced != "restricted" {
		return dev, fmt.Errorf("pizza-dev enforces the pod security standard %q, want restricted: %w", enforced, err)
	}
	stg, err := w.until(ctx, "stg")
	return "dev: " + dev + "; stg: " + stg, err
}

func (w *walk) firstOfProd(ctx context.Context) (string, error) {
	pods, err := w.environments["prod"].pods(ctx, "")
	if err != nil || len(pods) > 0 {
		return "", errors.Join(err, fmt.Errorf("%d pods in prod before anybody has synced it", len(pods)))
	}
	if err := w.sync(ctx, false); err != nil {
		return "", err
	}
	return w.until(ctx, "prod")
}

// sync syncs prod to the newest commit, manually or like Argo CD's automatic sync.
func (w *walk) sync(ctx context.Context, byItself bool) error {
	all, err := w.argocd.applications(ctx, "prod")
	for _, p := range all {
		err = errors.Join(err, w.argocd.sync(ctx, p.Metadata.Name, w.commit, byItself))
	}
	return err
}

// drift makes manual changes in dev, which Argo CD must revert.
func (w *walk) drift(ctx context.Context) (string, error) {
	dev := w.environments["dev"]
	if _, err := dev.kubectl(ctx, "scale", "deploy/order-deploy", "--replicas=3"); err != nil {
		return "", err
	}
	if _, err := dev.kubectl(ctx, "delete", "networkpolicy", "order"); err != nil {
		return "", err
	}
	return "1 pod, and the policy", wait(ctx, "dev as it was", time.Minute, func(ctx context.Context) (bool, error) {
		out, err := dev.kubectl(ctx, "get", "deploy/order-deploy", "networkpolicy/order", "-o", "jsonpath={.items[*].spec.replicas}")
		return strings.TrimSpace(out) == "1", err
	})
}

// autoscaled checks that Argo CD ignores the autoscaler's changes: the
// Deployments of stg do not set replicas.
func (w *walk) autoscaled(ctx context.Context) (string, error) {
	if err := w.argocd.refresh(ctx); err != nil {
		return "", err
	}
	if err := w.argocd.brought(ctx, "stg", w.commit); err != nil {
		return "", err
	}
	out, err := w.environments["stg"].kubectl(ctx, "get", "deploy/order-deploy", "-o", "jsonpath={.spec.replicas}")
	if err == nil && out != "2" {
		err = fmt.Errorf("%s pods of order in stg, want the 2 of the autoscaler", out)
	}
	return out + " pods, and Synced", err
}

// change takes a change from the commit through the release workflow to dev.
func (w *walk) change(ctx context.Context) (string, error) {
	dev := w.environments["dev"]
	before, err := dev.pods(ctx, "")
	if err != nil {
		return "", err
	}
	if err := w.repository.edit("services/order/cmd/order/main.go", `server.Main("order smoke"`, `server.Main("order smoke, one pizza at a time"`); err != nil {
		return "", err
	}
	if err := w.publish(ctx, "Serve one pizza at a time"); err != nil {
		return "", err
	}
	seen, err := w.until(ctx, "dev")
	if err != nil {
		return seen, err
	}
	others := slices.DeleteFunc(before, func(p pod) bool { return p.Metadata.Labels["app.kubernetes.io/name"] == "order" })
	return seen, dev.unchanged(ctx, others)
}

// publish commits a change, builds its images, and sets them in dev.
func (w *walk) publish(ctx context.Context, message string) error {
	if err := w.push(ctx, message); err != nil {
		return err
	}
	if _, err := w.builder.build(ctx); err != nil {
		return err
	}
	if _, err := w.builder.delivery(ctx, "publish"); err != nil {
		return err
	}
	return w.push(ctx, "dev: "+message)
}

// refused runs a delivery command that must be rejected.
func (w *walk) refused(ctx context.Context, why string, args ...string) error {
	out, err := w.builder.delivery(ctx, args...)
	if err == nil || !strings.Contains(err.Error(), why) {
		return fmt.Errorf("want %q: %w %s", why, err, out)
	}
	return nil
}

func (w *walk) tooEarly(ctx context.Context) (string, error) {
	return "has passed no checks of dev", w.refused(ctx, "has passed no checks of dev", "promote", "-to", "stg", "-service", "order")
}

// promote promotes order to the next environment after Argo CD has reported its
// deployment.
func (w *walk) promote(ctx context.Context, from, to string) error {
	if err := w.argocd.notified(ctx, "deployed order in "+from+" at "+w.commit); err != nil {
		return err
	}
	if err := w.attest(ctx, from); err != nil {
		return err
	}
	if _, err := w.builder.delivery(ctx, "promote", "-to", to, "-service", "order"); err != nil {
		return err
	}
	return w.push(ctx, to+": order of "+from)
}

// attest signs the cluster's report on order, read with the permissions of the workflow.
// A commit that was not synced cannot be attested.
func (w *walk) attest(ctx context.Context, environment string) error {
	config, err := w.argocd.readOnly(ctx)
	if err != nil {
		return err
	}
	_, err = w.argocd.kubectl(ctx, "--kubeconfig", config, "get", "secrets")
	if err == nil || !strings.Contains(err.Error(), "Forbidden") {
		return fmt.Errorf("the verification may read more than Applications: %w", err)
	}
	kubectl := filepath.Join(w.work, "kubectl-verify")
	script := "#!/bin/sh\nexec kubectl --kubeconfig='" + config + "' \"$@\"\n"
	if err := os.WriteFile(kubectl, []byte(script), 0o700); err != nil {
		return err
	}
	before, err := w.repository.git(ctx, "rev-parse", "HEAD~1")
	if err != nil {
		return err
	}
	args := []string{"attest", "-env", environment, "-service", "order", "-kubectl", kubectl, "-revision"}
	if err := w.refused(ctx, "syncResult.revisions[1] is", append(slices.Clone(args), before)...); err != nil {
		return err
	}
	_, err = w.builder.delivery(ctx, append(args, w.commit)...)
	return err
}

func (w *walk) toStg(ctx context.Context) (string, error) {
	if err := w.promote(ctx, "dev", "stg"); err != nil {
		return "", err
	}
	return w.until(ctx, "stg")
}

func (w *walk) toProd(ctx context.Context) (string, error) {
	prod := w.environments["prod"]
	before, err := prod.pods(ctx, "")
	if err != nil {
		return "", err
	}
	if err := w.promote(ctx, "stg", "prod"); err != nil {
		return "", err
	}
	if err := w.argocd.refresh(ctx); err != nil {
		return "", err
	}
	var p application
	err = wait(ctx, "the difference", time.Minute, func(ctx context.Context) (bool, error) {
		p, err = w.argocd.application(ctx, "pizza-prod-order")
		return err == nil && p.Status.Sync.commit() == w.commit && p.Status.Sync.Status == "OutOfSync", err
	})
	return p.Metadata.Name + " " + p.Status.Sync.Status, errors.Join(err, prod.unchanged(ctx, before))
}

// badMigration publishes a release whose migration fails, so that no pod changes.
func (w *walk) badMigration(ctx context.Context) (string, error) {
	dev := w.environments["dev"]
	before, err := dev.pods(ctx, "")
	if err != nil {
		return "", err
	}
	const migration = "-- +goose Up\nALTER TABLE order_detail ADD COLUMN slice integer REFERENCES slices (slice_id);\n-- +goose Down\nALTER TABLE order_detail DROP COLUMN slice;\n"
	if err := w.repository.add("migrations/sql/order/99999_slices.sql", migration); err != nil {
		return "", err
	}
	if err := w.repository.edit("services/order/cmd/order/main.go", "one pizza at a time", "one slice at a time"); err != nil {
		return "", err
	}
	if err := w.publish(ctx, "Serve one slice at a time"); err != nil {
		return "", err
	}
	if err := w.argocd.refresh(ctx); err != nil {
		return "", err
	}
	if err := w.argocd.notified(ctx, "pizza-dev-order was not brought to "+w.commit); err != nil {
		return "", err
	}
	why, err := dev.kubectl(ctx, "logs", "job/migrate-order", "--container=up")
	if !strings.Contains(why, "99999_slices.sql") || !strings.Contains(why, "does not exist") {
		return "", fmt.Errorf("the migration does not say why it failed: %w: %s", err, why)
	}
	return `relation "slices" does not exist; the team is told; the pods are those of before`, errors.Join(
		dev.unchanged(ctx, before),
		w.refused(ctx, "has passed no checks of dev", "promote", "-to", "stg", "-service", "order"))
}

func (w *walk) back(ctx context.Context) (string, error) {
	if _, err := w.builder.delivery(ctx, "rollback", "-env", "dev"); err != nil {
		return "", err
	}
	if err := w.push(ctx, "dev: back to one pizza at a time"); err != nil {
		return "", err
	}
	return w.until(ctx, "dev")
}
