package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A value of the Deployment before and after the change of the chart, which restarts no pod.
const deadline, longer = "progressDeadlineSeconds: 300", "progressDeadlineSeconds: 301"

// deadlines waits until some environments have the changed chart, and checks that the
// others do not.
func (w *walk) deadlines(ctx context.Context, arrived ...string) (string, error) {
	var seen []string
	for _, name := range stages() {
		want := strings.TrimPrefix(deadline, "progressDeadlineSeconds: ")
		if slices.Contains(arrived, name) {
			want = strings.TrimPrefix(longer, "progressDeadlineSeconds: ")
			if err := w.argocd.brought(ctx, name, w.commit); err != nil {
				return "", err
			}
		}
		out, err := w.environments[name].kubectl(ctx, "get", "deploy", "login-deploy", "menu-deploy", "order-deploy", "-o", "jsonpath={.items[*].spec.progressDeadlineSeconds}")
		if err != nil {
			return "", err
		}
		if out != strings.Join([]string{want, want, want}, " ") {
			return "", fmt.Errorf("%s: the Deployments have progressDeadlineSeconds %s, want %s", name, out, want)
		}
		seen = append(seen, name+" "+want)
	}
	return strings.Join(seen, ", "), nil
}

// chartInDev changes a template of the chart, but no image.
func (w *walk) chartInDev(ctx context.Context) (string, error) {
	before, err := w.environments["dev"].pods(ctx, "")
	if err != nil {
		return "", err
	}
	if err := w.repository.edit("helm/service/templates/deployment.yaml", deadline, longer); err != nil {
		return "", err
	}
	if err := w.publish(ctx, "Wait a second longer for pods"); err != nil {
		return "", err
	}
	if err := w.argocd.refresh(ctx); err != nil {
		return "", err
	}
	seen, err := w.deadlines(ctx, "dev")
	return seen, errors.Join(err, w.environments["dev"].unchanged(ctx, before))
}

func (w *walk) chartTooEarly(ctx context.Context) (string, error) {
	return "has passed no checks of dev with this chart",
		w.refused(ctx, "has passed no checks of dev with the chart", "promote", "-to", "stg", "-service", "order")
}

func (w *walk) chartInStg(ctx context.Context) (string, error) {
	if err := w.promote(ctx, "dev", "stg"); err != nil {
		return "", err
	}
	if err := w.argocd.refresh(ctx); err != nil {
		return "", err
	}
	return w.deadlines(ctx, "dev", "stg")
}

func (w *walk) chartInProd(ctx context.Context) (string, error) {
	if err := w.promote(ctx, "stg", "prod"); err != nil {
		return "", err
	}
	if err := errors.Join(w.argocd.refresh(ctx), w.sync(ctx, false)); err != nil {
		return "", err
	}
	return w.deadlines(ctx, "dev", "stg", "prod")
}

// chartBack rolls prod back to the previous chart.
func (w *walk) chartBack(ctx context.Context) (string, error) {
	if _, err := w.builder.delivery(ctx, "rollback", "-env", "prod"); err != nil {
		return "", err
	}
	if err := w.push(ctx, "prod: back to the chart of before"); err != nil {
		return "", err
	}
	if err := errors.Join(w.argocd.refresh(ctx), w.sync(ctx, false)); err != nil {
		return "", err
	}
	if err := w.argocd.brought(ctx, "prod", w.commit); err != nil {
		return "", err
	}
	return w.deadlines(ctx, "dev", "stg")
}
