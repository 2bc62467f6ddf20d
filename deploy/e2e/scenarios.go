package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"example.com/pizza/migrations"
)

// scenario is a disturbance of the system while customers use it.
type scenario struct {
	name    string
	disturb func(context.Context, *system) error
	// tolerated is the reason why requests may fail, or "" if none may.
	tolerated string
	restarts  int // expected container restarts
}

func scenarios() []scenario {
	return []scenario{
		{name: "upgrade to another tag", disturb: upgrade},
		{name: "rollout restart", disturb: rolloutRestart},
		{name: "pods evicted one by one", disturb: evict},
		{name: "scaled by CPU, up and down", disturb: scale},
		{name: "secret changed, keys rotated", disturb: rotate},
		{name: "moved to existing Secrets", disturb: moveSecrets},
		{name: "containers killed with -9", disturb: kill, tolerated: "what was in flight on the pod", restarts: 3},
		{name: "menu scaled to zero", disturb: withoutMenu, tolerated: "what only menu can answer; orders beyond the bound"},
		{name: "PostgreSQL stopped for 60 s", disturb: withoutDatabase, tolerated: "everything that needs the database, by our own 503"},
		{name: "migration fails, then rollback", disturb: brokenMigration},
	}
}

const networkPolicies = "network policies"

// names returns the valid names in E2E_ONLY.
func names() []string {
	var all []string
	for _, s := range scenarios() {
		all = append(all, s.name)
	}
	return append(all, networkPolicies, takenOver)
}

func upgrade(ctx context.Context, s *system) error {
	if err := s.install(ctx, tagAfter); err != nil {
		return err
	}
	pods, err := s.pods(ctx, "")
	if err != nil {
		return err
	}
	for _, p := range pods {
		if got := p.Metadata.Labels["app.kubernetes.io/version"]; p.Metadata.DeletionTimestamp == nil && got != tagAfter {
			return fmt.Errorf("%s is of %s, want %s", p.Metadata.Name, got, tagAfter)
		}
	}
	return nil
}

func rolloutRestart(ctx context.Context, s *system) error {
	for _, service := range services() {
		if _, err := s.kubectl(ctx, "rollout", "restart", "deploy/"+service+"-deploy"); err != nil {
			return err
		}
	}
	return s.rolledOut(ctx)
}

// evict evicts the pods one by one within the disruption budgets, like a node
// drain.
func evict(ctx context.Context, s *system) error {
	pods, err := s.pods(ctx, "")
	if err != nil {
		return err
	}
	for _, p := range pods {
		if p.Metadata.DeletionTimestamp != nil {
			continue // from the previous scenario
		}
		name := p.Metadata.Name
		eviction := fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":%q}}`, name, s.namespace)
		err := wait(ctx, "eviction of "+name, 2*time.Minute, func(ctx context.Context) (bool, error) {
			_, err := s.run(ctx, eviction, "kubectl", "create", "--raw", "/api/v1/namespaces/"+s.namespace+"/pods/"+name+"/eviction", "-f", "-")
			return err == nil, err
		})
		if err != nil {
			return err
		}
	}
	return s.allReady(ctx, time.Minute)
}

// stillReady fails unless each of these pods still exists and is ready.
func (s *system) stillReady(ctx context.Context, before []pod) error {
	after, err := s.pods(ctx, "")
	if err != nil {
		return err
	}
	ready := map[string]bool{}
	for _, p := range after {
		ready[p.Metadata.UID] = p.ready()
	}
	for _, p := range before {
		if !ready[p.Metadata.UID] {
			return fmt.Errorf("%s is no longer ready", p.Metadata.Name)
		}
	}
	return nil
}

// scale loads menu until it scales up, and then waits until it has scaled down.
func scale(ctx context.Context, s *system) error {
	// Four pods, twice while they are replaced.
	if _, err := migrations.LimitConnections(ctx, s.database.url(), migrations.Connections{Menu: new(40)}); err != nil {
		return err
	}
	before, err := s.pods(ctx, "menu")
	if err != nil {
		return err
	}
	err = s.install(ctx, tagAfter, "--set", "menu.autoscaling.enabled=true", "--set", "menu.autoscaling.minReplicas=2", "--set", "menu.autoscaling.maxReplicas=4",
		"--set", "menu.autoscaling.targetCPU=60", "--set", "menu.autoscaling.targetMemory=0",
		"--set", "menu.autoscaling.behavior.scaleUp.stabilizationWindowSeconds=0", "--set", "menu.autoscaling.behavior.scaleDown.stabilizationWindowSeconds=10")
	if err != nil {
		return err
	}
	if err := s.stillReady(ctx, before); err != nil {
		return fmt.Errorf("autoscaling was turned on, and %w", err)
	}
	replicas := func(ctx context.Context) (int, error) {
		pods, err := s.pods(ctx, "menu")
		n := 0
		for _, p := range pods {
			if p.ready() {
				n++
			}
		}
		return n, err
	}
	crowd, leave := context.WithCancel(ctx)
	defer leave()
	for range 8 {
		go func() {
			for crowd.Err() == nil {
				_, _ = s.customers.send(crowd, http.MethodGet, "/api/menu/?q=chicken", "", "", "", "") // load only; others check responses
			}
		}()
	}
	err = wait(ctx, "more pods of menu", 3*time.Minute, func(ctx context.Context) (bool, error) {
		n, err := replicas(ctx)
		return n > 2, err
	})
	if err != nil {
		return err
	}
	leave()
	err = wait(ctx, "as few pods of menu as before", 5*time.Minute, func(ctx context.Context) (bool, error) {
		n, err := replicas(ctx)
		return n == 2, err
	})
	if err != nil {
		return err
	}
	return s.install(ctx, tagAfter)
}

// rotate replaces the token signing key, in the order from the handbook.
func rotate(ctx context.Context, s *system) error {
	next := rand.Text() + rand.Text()
	for _, keys := range [][2]string{{s.key, next}, {next, s.key}} {
		secret, err := json.Marshal(map[string]any{"stringData": map[string]string{"current": keys[0], "previous": keys[1]}})
		if err != nil {
			return err
		}
		if _, err := s.kubectl(ctx, "patch", "secret", "jwt-keys", "--type=merge", "-p", string(secret)); err != nil {
			return err
		}
		since := time.Now()
		// A change of the pod makes the kubelet update the mounted Secret now.
		if _, err := s.kubectl(ctx, "annotate", "pods", "-l", "app.kubernetes.io/component=service", "--overwrite", "e2e/looked-at="+since.Format("150405")); err != nil {
			return err
		}
		for _, service := range []string{"login", "order"} {
			pods, err := s.pods(ctx, service)
			if err != nil {
				return err
			}
			for _, p := range pods {
				err := wait(ctx, "the new keys in "+p.Metadata.Name, 3*time.Minute, func(ctx context.Context) (bool, error) {
					log, err := s.kubectl(ctx, "logs", p.Metadata.Name, "--since-time="+since.UTC().Add(-time.Second).Format(time.RFC3339))
					return strings.Contains(log, `"event":"token_keys_changed"`), err
				})
				if err != nil {
					return err
				}
			}
		}
	}
	s.key = next
	return nil
}

// podUser is the user id of the containers. If the node is this machine, other
// users can have processes with the same name.
const podUser = "65532"

// kill kills one process of each service, like an out-of-memory kill.
func kill(ctx context.Context, s *system) error {
	for _, service := range services() {
		command := append(strings.Fields(s.settings.NodeExec), "pkill", "-9", "-n", "-u", podUser, "-x", service)
		if _, err := s.run(ctx, "", command[0], command[1:]...); err != nil {
			return err
		}
		err := wait(ctx, "the restart of "+service, time.Minute, func(ctx context.Context) (bool, error) {
			pods, err := s.pods(ctx, service)
			n := 0
			for _, p := range pods {
				n += p.restarts()
			}
			return n > 0, err
		})
		if err != nil {
			return err
		}
		if err := s.allReady(ctx, time.Minute); err != nil {
			return err
		}
	}
	return nil
}

// withoutMenu checks only orders. They continue with cached prices, are rejected
// when those are too old, and recover when menu is back.
func withoutMenu(ctx context.Context, s *system) error {
	if _, err := s.kubectl(ctx, "scale", "deploy/menu-deploy", "--replicas=0"); err != nil {
		return err
	}
	gone := func(ctx context.Context) (bool, error) {
		pods, err := s.pods(ctx, "menu")
		return len(pods) == 0, err
	}
	if err := wait(ctx, "no pod of menu", time.Minute, gone); err != nil {
		return err
	}
	if status := s.customers.tryOrder(ctx); status != http.StatusCreated {
		return fmt.Errorf("the first order without menu: %d", status)
	}
	orders := func(want int) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			switch got := s.customers.tryOrder(ctx); got {
			case want:
				return true, nil
			case http.StatusCreated, http.StatusServiceUnavailable:
				return false, nil
			default:
				return false, fmt.Errorf("an order is answered %d", got)
			}
		}
	}
	if err := wait(ctx, "orders refused, with prices older than "+maxStale, 2*time.Minute, orders(http.StatusServiceUnavailable)); err != nil {
		return err
	}
	if _, err := s.kubectl(ctx, "scale", "deploy/menu-deploy", "--replicas=2"); err != nil {
		return err
	}
	if err := s.allReady(ctx, time.Minute); err != nil {
		return err
	}
	return wait(ctx, "orders again", 30*time.Second, orders(http.StatusCreated))
}

// withoutDatabase stops the database for longer than Kubernetes needs to detect
// an unready pod. The pods must stay ready: customers see the menu, and the
// services themselves ask them to retry.
func withoutDatabase(ctx context.Context, s *system) error {
	const away, every = time.Minute, 5 * time.Second
	if err := s.database.server.Stop(); err != nil {
		return err
	}
	back := time.Now().Add(away)
	// Ready within a second means that no pod became unready.
	err := errors.Join(s.customers.seeOutage(ctx, back, every), s.allReady(ctx, time.Second))
	if err := errors.Join(err, s.database.start(context.WithoutCancel(ctx), s.log)); err != nil {
		return err
	}
	return wait(ctx, "orders again", 30*time.Second, func(ctx context.Context) (bool, error) {
		switch status := s.customers.tryOrder(ctx); status {
		case http.StatusCreated:
			return true, nil
		case http.StatusServiceUnavailable:
			return false, nil
		default:
			return false, fmt.Errorf("an order is answered %d", status)
		}
	})
}

// brokenMigration upgrades with a migration that fails. The upgrade must stop
// before it changes a pod, and the log must show the reason.
func brokenMigration(ctx context.Context, s *system) error {
	before, err := s.pods(ctx, "")
	if err != nil {
		return err
	}
	if err := s.install(ctx, tagBefore, "--set", "migration.extraEnv[0].name=DB_PASSWORD", "--set", "migration.extraEnv[0].value=wrong", "--set", "migration.backoffLimit=0"); err == nil {
		return errors.New("an upgrade whose migration cannot log in has succeeded")
	}
	why, err := s.kubectl(ctx, "logs", "job/migrate", "--all-containers")
	// err: the container after the one that failed has no log.
	if !strings.Contains(why, "password authentication failed") {
		return fmt.Errorf("the migration does not say why it failed, %w: %s", err, why)
	}
	if err := s.stillReady(ctx, before); err != nil {
		return fmt.Errorf("the migration has failed, but %w", err)
	}
	if _, err := s.helm(ctx, "rollback", "pizza", "--wait", "--timeout", "5m"); err != nil {
		return err
	}
	if err := s.rolledOut(ctx); err != nil {
		return err
	}
	return s.install(ctx, tagAfter) // with the migration fixed, which removes the failed job
}
