package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// window closes the sync windows that the repository defines for prod, and starts an
// automatic sync, which must wait.
func (w *walk) window(ctx context.Context) (string, error) {
	before, err := w.environments["prod"].pods(ctx, "")
	if err != nil {
		return "", err
	}
	out, err := w.argocd.kubectl(ctx, "get", "appproject", "pizza-prod", "-o", "json")
	if err != nil {
		return "", err
	}
	var project struct {
		Spec struct{ SyncWindows []map[string]any }
	}
	if err := json.Unmarshal([]byte(out), &project); err != nil {
		return "", err
	}
	for _, window := range project.Spec.SyncWindows {
		window["schedule"], window["duration"] = "* * * * *", "1h" // closed now
	}
	closed, err := json.Marshal(map[string]any{"spec": map[string]any{"syncWindows": project.Spec.SyncWindows}})
	if err != nil {
		return "", err
	}
	if _, err := w.argocd.kubectl(ctx, "patch", "appproject", "pizza-prod", "--type=merge", "-p", string(closed)); err != nil {
		return "", err
	}
	if err := w.sync(ctx, true); err != nil {
		return "", err
	}
	var p application
	err = wait(ctx, "the sync held up", time.Minute, func(ctx context.Context) (bool, error) {
		p, err = w.argocd.application(ctx, "pizza-prod-order")
		if o := p.Status.OperationState; err == nil && (o == nil || !strings.Contains(o.Message, "sync window")) {
			err = errors.New(p.String())
		}
		return err == nil, err
	})
	if err != nil {
		return "", err
	}
	return p.Status.OperationState.Message, w.environments["prod"].unchanged(ctx, before)
}

// inProd syncs manually as the on-call role in the closed window, while customers order.
// No request may fail.
func (w *walk) inProd(ctx context.Context) (string, error) {
	return w.amongCustomers(ctx, "prod", false, func(ctx context.Context) (string, error) {
		all, err := w.argocd.applications(ctx, "prod")
		for _, p := range all { // terminate the waiting operation first, like "argocd app terminate-op"
			err = errors.Join(err, w.argocd.terminate(ctx, p.Metadata.Name))
		}
		if err := errors.Join(err, w.sync(ctx, false)); err != nil {
			return "", err
		}
		return w.until(ctx, "prod")
	})
}
