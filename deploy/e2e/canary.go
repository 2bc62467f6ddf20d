package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// prometheusAddress is the Prometheus that a canary's analysis queries.
const prometheusAddress = "127.0.0.1:19090"

// watch starts Prometheus and updates its targets every second.
func (w *walk) watch(ctx context.Context, e *environment) error {
	folder := filepath.Join(w.work, "prometheus")
	if err := errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o750)); err != nil {
		return err
	}
	targets := filepath.Join(folder, "targets.json")
	config := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs: [{job_name: pods, file_sd_configs: [{files: [%s], refresh_interval: 1s}]}]\n", targets)
	if err := os.WriteFile(filepath.Join(folder, "prometheus.yml"), []byte(config), 0o600); err != nil {
		return err
	}
	go func() {
		for ctx.Err() == nil {
			if err := discover(ctx, e, targets); err != nil && ctx.Err() == nil {
				logged(w.log, "targets of Prometheus: %v", err)
			}
			pause(ctx, time.Second)
		}
	}()
	return w.argocd.process(ctx, "prometheus", "prometheus", "--config.file="+filepath.Join(folder, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+prometheusAddress)
}

// discover writes the pods of an environment as targets, with the labels that the
// Prometheus operator sets.
func discover(ctx context.Context, e *environment, file string) error {
	pods, err := e.pods(ctx, "")
	if err != nil {
		return err
	}
	type target struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	all := []target{}
	for _, p := range pods {
		if p.Status.PodIP != "" {
			labels := map[string]string{"namespace": e.namespace, "pod": p.Metadata.Name, "job": p.Metadata.Labels["app.kubernetes.io/name"]}
			all = append(all, target{[]string{p.Status.PodIP + ":9100"}, labels})
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// rollout is the part of a Rollout that the tests use.
type rollout struct {
	Status struct {
		Phase, Message, StableRS string
		Abort                    bool
		AvailableReplicas        int
	}
}

func (e *environment) rollout(ctx context.Context) (rollout, error) {
	var r rollout
	out, err := e.kubectl(ctx, "get", "rollout", "order-rollout", "-o", "json")
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal([]byte(out), &r)
}

// configure commits and pushes settings of order in stg.
func (w *walk) configure(ctx context.Context, message string, order map[string]any) error {
	if err := w.repository.merge("stg", map[string]any{"order": order}); err != nil {
		return err
	}
	return w.push(ctx, message)
}

// handOver lets Argo Rollouts replace the pods of order in stg.
func (w *walk) handOver(ctx context.Context) (string, error) {
	stg := w.environments["stg"]
	if err := errors.Join(w.watch(ctx, stg), w.argocd.process(ctx, "rollouts", "rollouts", "--namespaced=false", "--metricsPort=18090", "--healthzPort=18091", "--leader-elect=false")); err != nil {
		return "", err
	}
	return w.amongCustomers(ctx, "stg", false, func(ctx context.Context) (string, error) {
		err := w.configure(ctx, "stg: order is handed to Argo Rollouts", map[string]any{"canary": map[string]any{
			"enabled": true, "steps": []any{map[string]any{"setWeight": 50}, map[string]any{"pause": map[string]any{"duration": "30s"}}},
			"analysis": map[string]any{"prometheus": "http://" + prometheusAddress, "interval": "5s", "window": "10s", "failureLimit": 2},
		}})
		if err != nil {
			return "", err
		}
		if _, err := w.until(ctx, "stg"); err != nil {
			return "", err
		}
		return "the Deployment has 0 pods, the Rollout 2", wait(ctx, "the pods of the Rollout alone", 2*time.Minute, func(ctx context.Context) (bool, error) {
			r, err := stg.rollout(ctx)
			if err != nil {
				return false, err
			}
			out, err := stg.kubectl(ctx, "get", "deploy/order-deploy", "-o", "jsonpath={.spec.replicas}")
			return out == "0" && r.Status.Phase == "Healthy" && r.Status.AvailableReplicas == 2, err
		})
	})
}

// goodCanary releases a harmless change.
func (w *walk) goodCanary(ctx context.Context) (string, error) {
	stg := w.environments["stg"]
	before, err := stg.rollout(ctx)
	if err != nil {
		return "", err
	}
	return w.amongCustomers(ctx, "stg", false, func(ctx context.Context) (string, error) {
		if err := w.configure(ctx, "stg: keep answers for two days", map[string]any{"config": map[string]any{"IDEMPOTENCY_TTL": "48h"}}); err != nil {
			return "", err
		}
		if err := w.argocd.refresh(ctx); err != nil {
			return "", err
		}
		return "its analysis has nothing against it: all pods are new", wait(ctx, "the new pods alone", 4*time.Minute, func(ctx context.Context) (bool, error) {
			r, err := stg.rollout(ctx)
			return err == nil && r.Status.Phase == "Healthy" && r.Status.StableRS != before.Status.StableRS, err
		})
	})
}

// badCanary releases pods with an unreachable menu address.
func (w *walk) badCanary(ctx context.Context) (string, error) {
	stg := w.environments["stg"]
	before, err := stg.rollout(ctx)
	if err != nil {
		return "", err
	}
	return w.amongCustomers(ctx, "stg", true, func(ctx context.Context) (string, error) {
		if err := w.configure(ctx, "stg: ask another menu", map[string]any{"menuBaseURL": "http://menu-svc:9999"}); err != nil {
			return "", err
		}
		if err := w.argocd.refresh(ctx); err != nil {
			return "", err
		}
		pushed := time.Now()
		var r rollout
		err := wait(ctx, "the end of the bad pods", 4*time.Minute, func(ctx context.Context) (bool, error) {
			r, err = stg.rollout(ctx)
			if err == nil && r.Status.Phase != "Degraded" {
				err = errors.New(r.Status.Phase + ": " + r.Status.Message)
			}
			return err == nil && r.Status.Abort, err
		})
		seen := fmt.Sprintf("aborted %.0f s after the commit: %s", time.Since(pushed).Seconds(), strings.TrimSpace(r.Status.Message))
		if err == nil && r.Status.StableRS != before.Status.StableRS {
			err = errors.New("the bad pods are the stable ones")
		}
		if err == nil {
			err = w.argocd.notified(ctx, "pizza-stg-order does not serve as it should")
		}
		if err != nil {
			return seen, err
		}
		// Bad pods serve until good ones have replaced them.
		return seen, wait(ctx, "the last bad pod gone", time.Minute, func(ctx context.Context) (bool, error) {
			pods, err := stg.pods(ctx, "order")
			return err == nil && !slices.ContainsFunc(pods, func(p pod) bool {
				return !strings.HasPrefix(p.Metadata.Name, "order-rollout-"+r.Status.StableRS)
			}), err
		})
	})
}

// restarted restarts the pods of order while the repository still contains the
// bad release.
func (w *walk) restarted(ctx context.Context) (string, error) {
	stg := w.environments["stg"]
	before, err := stg.pods(ctx, "order")
	if err != nil {
		return "", err
	}
	return w.amongCustomers(ctx, "stg", false, func(ctx context.Context) (string, error) {
		for _, p := range before {
			if _, err := stg.kubectl(ctx, "delete", "pod", p.Metadata.Name); err != nil {
				return "", err
			}
			err := wait(ctx, "the pods of order", time.Minute, func(ctx context.Context) (bool, error) {
				r, err := stg.rollout(ctx)
				return err == nil && r.Status.AvailableReplicas == len(before), err
			})
			if err != nil {
				return "", err
			}
		}
		return fmt.Sprintf("%d new pods, none with the bad setting", len(before)), nil
	})
}

// revert reverts the newest commit.
func (w *walk) revert(ctx context.Context) (string, error) {
	if _, err := w.repository.git(ctx, "revert", "--no-edit", "HEAD"); err != nil {
		return "", err
	}
	if _, err := w.repository.git(ctx, "push", "--quiet", "origin", "main"); err != nil {
		return "", err
	}
	var err error
	if w.commit, err = w.repository.git(ctx, "rev-parse", "HEAD"); err != nil {
		return "", err
	}
	return w.until(ctx, "stg")
}

// handBack returns the pods of order in stg to the Deployment, in the order of
// docs/operations/canary.md.
func (w *walk) handBack(ctx context.Context) (string, error) {
	stg := w.environments["stg"]
	return w.amongCustomers(ctx, "stg", false, func(ctx context.Context) (string, error) {
		if err := w.configure(ctx, "stg: order gets pods of the Deployment again", map[string]any{"canary": map[string]any{"ending": true}}); err != nil {
			return "", err
		}
		if err := w.argocd.refresh(ctx); err != nil {
			return "", err
		}
		err := wait(ctx, "the pods of the Deployment beside those of the Rollout", 2*time.Minute, func(ctx context.Context) (bool, error) {
			out, err := stg.kubectl(ctx, "get", "deploy/order-deploy", "-o", "jsonpath={.status.availableReplicas}")
			return out == "2", err
		})
		if err != nil {
			return "", err
		}
		if err := w.configure(ctx, "stg: order leaves Argo Rollouts", map[string]any{"canary": map[string]any{"enabled": false, "ending": false}}); err != nil {
			return "", err
		}
		if _, err := w.until(ctx, "stg"); err != nil {
			return "", err
		}
		return "the Deployment has 2 pods, the Rollout is gone", wait(ctx, "the pods of the Deployment alone", 2*time.Minute, func(ctx context.Context) (bool, error) {
			pods, err := stg.pods(ctx, "order")
			return len(pods) == 2 && !slices.ContainsFunc(pods, func(p pod) bool {
				return !strings.HasPrefix(p.Metadata.Name, "order-deploy-") || !p.ready()
			}), err
		})
	})
}

// regulars returns the customers of an environment. They register once, because
// registration is rate limited per address.
func (e *environment) regulars(ctx context.Context, settings Settings) (*customers, error) {
	if e.customers != nil {
		return e.customers, nil
	}
	c := newCustomers(settings.Ingress, e.host, float64(settings.Rate))
	if err := wait(ctx, "answers through the Ingress", time.Minute, c.served); err != nil {
		return nil, err
	}
	if err := c.arrive(ctx); err != nil {
		return nil, err
	}
	e.customers = c
	return c, nil
}

// amongCustomers calls do while customers order, and reconciles the orders. No
// order may be lost and, unless mayFail, no request may fail.
func (w *walk) amongCustomers(ctx context.Context, environment string, mayFail bool, do func(context.Context) (string, error)) (string, error) {
	e := w.environments[environment]
	customers, err := e.regulars(ctx, w.settings)
	if err != nil {
		return "", err
	}
	before, err := e.database.orders(ctx, customers.prefix)
	if err != nil {
		return "", err
	}
	open, closing := context.WithCancel(ctx)
	result := make(chan *books, 1)
	go func() { result <- customers.shop(open) }()
	pause(ctx, w.settings.Calm)
	seen, err := do(ctx)
	pause(ctx, w.settings.Calm)
	closing()
	b := <-result
	stored, readErr := e.database.orders(ctx, customers.prefix)
	maps.DeleteFunc(stored, func(id string, _ bool) bool { return before[id] })
	failures := 0
	for why, n := range b.failures {
		failures += n
		if !mayFail {
			err = errors.Join(err, fmt.Errorf("%d requests failed: %s", n, why))
		}
	}
	if len(stored) != len(b.acknowledged) || len(stored) != b.orders || len(stored) == 0 {
		err = errors.Join(err, fmt.Errorf("%d orders placed, %d acknowledged, %d there", b.orders, len(b.acknowledged), len(stored)))
	}
	return fmt.Sprintf("%s; %d of %d requests failed; %d orders, none lost", seen, failures, b.requests, len(stored)), errors.Join(err, readErr)
}
