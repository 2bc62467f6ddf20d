package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// story is what happens: each step waits until it is seen.
func (w *walk) story(ctx context.Context) error {
	var commit string // the newest
	var good string   // of dev, to which it goes back
	dev, prod := w.environments["dev"], w.environments["prod"]
	for _, s := range []struct {
		what string
		do   func() (string, error)
	}{
		{"images built, pushed, signed; dev, stg and prod named to run them", func() (_ string, err error) {
			commit, err = w.first(ctx)
			return "commit " + commit[:min(8, len(commit))], err
		}},
		{"Argo CD started, with its projects and Applications", func() (string, error) { return w.install(ctx) }},
		{"first sync of dev, by itself", func() (string, error) { return w.until(ctx, "dev", commit) }},
		{"first sync of stg, by itself", func() (string, error) { return w.until(ctx, "stg", commit) }},
		{"prod waits for somebody", func() (string, error) {
			pods, err := prod.pods(ctx, "")
			if len(pods) > 0 {
				err = errors.Join(err, errors.New("there are pods in prod"))
			}
			return "no pod", err
		}},
		{"first sync of prod, by hand", func() (string, error) { return w.byHand(ctx, commit) }},
		{"somebody scales order and deletes a network policy in dev: healed", func() (string, error) { return w.drift(ctx, dev) }},
		{"the autoscaler scales order in stg: left alone", func() (string, error) { return w.autoscaled(ctx) }},
	} {
		if err := w.step(s.what, s.do); err != nil {
			return err
		}
	}
	_ = good
	return nil
}

// first makes the repository say of every environment that it runs its newest commit
// on this cluster.
func (w *walk) first(ctx context.Context) (string, error) {
	if err := w.repository.clone(ctx, w.root); err != nil {
		return "", err
	}
	images, err := w.builder.build(ctx)
	if err != nil {
		return "", err
	}
	for _, name := range environments() {
		values := w.values(w.environments[name])
		values["global"].(map[string]any)["image"] = map[string]any{"registry": w.builder.registry}
		if err := w.repository.merge(name, values); err != nil {
			return "", err
		}
		if err := w.builder.name(name, images); err != nil {
			return "", err
		}
	}
	return w.repository.push(ctx, "Settings of this cluster, and its first images")
}

func (w *walk) install(ctx context.Context) (string, error) {
	if err := w.argocd.start(ctx, w.root); err != nil {
		return "", err
	}
	for _, file := range []string{"projects.yaml", "notifications.yaml", "applications.yaml"} {
		if err := w.argocd.applyFile(ctx, filepath.Join(w.root, "deploy", "argocd", file), w.repository.url()); err != nil {
			return "", err
		}
	}
	var names []string
	err := wait(ctx, "the Applications", 2*time.Minute, func(ctx context.Context) (bool, error) {
		names = nil
		for _, environment := range environments() {
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

// byHand brings prod to a commit, as an operator does.
func (w *walk) byHand(ctx context.Context, commit string) (string, error) {
	if err := w.argocd.refresh(ctx); err != nil {
		return "", err
	}
	all, err := w.argocd.applications(ctx, "prod")
	if err != nil {
		return "", err
	}
	for _, p := range all {
		if err := w.argocd.sync(ctx, p.Metadata.Name, commit); err != nil {
			return "", err
		}
	}
	return w.until(ctx, "prod", commit)
}

// drift is what should not have been done by hand.
func (w *walk) drift(ctx context.Context, e *environment) (string, error) {
	if _, err := e.kubectl(ctx, "scale", "deploy/order-deploy", "--replicas=3"); err != nil {
		return "", err
	}
	if _, err := e.kubectl(ctx, "delete", "networkpolicy", "order"); err != nil {
		return "", err
	}
	err := wait(ctx, "dev as it was", time.Minute, func(ctx context.Context) (bool, error) {
		out, err := e.kubectl(ctx, "get", "deploy/order-deploy", "networkpolicy/order", "-o", "jsonpath={.items[*].spec.replicas}")
		return strings.TrimSpace(out) == "1", err
	})
	return "1 pod, and the policy", err
}

// autoscaled raises the number of pods as the autoscaler does, by changing what it
// aims at for a moment.
func (w *walk) autoscaled(ctx context.Context) (string, error) {
	p, err := w.argocd.application(ctx, "pizza-stg-order")
	if err != nil {
		return "", err
	}
	out, err := w.environments["stg"].kubectl(ctx, "get", "deploy/order-deploy", "-o", "jsonpath={.spec.replicas}")
	if err == nil && (out != "2" || p.Status.Sync.Status != "Synced") {
		err = fmt.Errorf("%s pods, want the 2 of the autoscaler: %s", out, p)
	}
	return out + " pods, and Synced", err
}

// environments are all, in the order of promotion.
func environments() []string { return []string{"dev", "stg", "prod"} }

var _ = slices.Contains[[]string]
