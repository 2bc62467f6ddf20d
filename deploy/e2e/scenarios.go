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
)

// scenario is one thing that happens to the system while customers use it.
type scenario struct {
	name    string
	disturb func(context.Context, *system) error
	// tolerated is why requests may fail; "" when none may.
	tolerated string
	restarts  int // of containers, that belong to it
}

func scenarios() []scenario {
	return []scenario{
		{name: "upgrade to another tag", disturb: upgrade},
		{name: "rollout restart", disturb: rolloutRestart},
		{name: "pods evicted one by one", disturb: evict},
		{name: "scaled by CPU, up and down", disturb: scale},
		{name: "secret changed, keys rotated", disturb: rotate},
		{name: "containers killed with -9", disturb: kill, tolerated: "what was in flight on the pod", restarts: 3},
		{name: "menu scaled to zero", disturb: withoutMenu, tolerated: "what only menu can answer; orders beyond the bound"},
		{name: "PostgreSQL stopped for 60 s", disturb: withoutDatabase, tolerated: "everything that needs the database, by our own 503"},
		{name: "migration fails, then rollback", disturb: brokenMigration},
	}
}

const networkPolicies = "network policies"

// names are those that E2E_ONLY may have.
func names() []string {
	var all []string
	for _, s := range scenarios() {
		all = append(all, s.name)
	}
	return append(all, networkPolicies)
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

// evict takes the pods away as a drain of their node would: one after the other,
// as the disruption budgets allow.
func evict(ctx context.Context, s *system) error {
	pods, err := s.pods(ctx, "")
	if err != nil {
		return err
	}
	for _, p := range pods {
		if p.Metadata.DeletionTimestamp != nil {
			continue // of the scenario before
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

// scale makes menu work until there are more pods of it, and lets it rest until
// there are as few as before.
func scale(ctx context.Context, s *system) error {
	err := s.install(ctx, tagAfter, "--set", "menu.autoscaling.enabled=true", "--set", "menu.autoscaling.minReplicas=2", "--set", "menu.autoscaling.maxReplicas=4",
		"--set", "menu.autoscaling.targetCPU=60", "--set", "menu.autoscaling.targetMemory=0",
		"--set", "menu.autoscaling.behavior.scaleUp.stabilizationWindowSeconds=0", "--set", "menu.autoscaling.behavior.scaleDown.stabilizationWindowSeconds=10")
	if err != nil {
		return err
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
				_, _ = s.customers.send(crowd, http.MethodGet, "/api/menu/?q=chicken", "", "", "", "") // whether it works, the others tell
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

// rotate replaces the key that signs tokens, in the order that the handbook gives.
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
		// The kubelet brings a mounted Secret up to date when it next looks at the pod: now.
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

// podUser is who the containers run as: on a node that is this machine, others may
// have processes of the same name.
const podUser = "65532"

// kill ends one process of each service, as running out of memory does.
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

// withoutMenu looks at orders alone: they go on from prices in memory, are refused
// when those are too old, and go on when menu is back.
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

// withoutDatabase stops the database for longer than it takes Kubernetes to notice a
// pod that is not ready. The pods stay ready: customers see the menu, and are told
// by the services themselves to try again.
func withoutDatabase(ctx context.Context, s *system) error {
	const away, every = time.Minute, 5 * time.Second
	if err := s.database.server.Stop(); err != nil {
		return err
	}
	back := time.Now().Add(away)
	// Ready within a second means ready at this moment: nothing may have become unready.
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

// brokenMigration upgrades to what cannot be applied: the upgrade stops before any
// pod is touched, and says why.
func brokenMigration(ctx context.Context, s *system) error {
	before, err := s.pods(ctx, "")
	if err != nil {
		return err
	}
	if err := s.install(ctx, tagBefore, "--set", "migration.values.DB_PASSWORD=wrong", "--set", "migration.backoffLimit=0"); err == nil {
		return errors.New("an upgrade whose migration cannot log in has succeeded")
	}
	why, err := s.kubectl(ctx, "logs", "job/migrate", "--all-containers")
	// err: the container after the one that failed has no log.
	if !strings.Contains(why, "password authentication failed") {
		return fmt.Errorf("the migration does not say why it failed, %w: %s", err, why)
	}
	after, err := s.pods(ctx, "")
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, p := range after {
		there[p.Metadata.UID] = p.ready()
	}
	for _, p := range before {
		if !there[p.Metadata.UID] {
			return fmt.Errorf("%s does not serve any more, though the migration has failed", p.Metadata.Name)
		}
	}
	if _, err := s.helm(ctx, "rollback", "pizza", "--wait", "--timeout", "5m"); err != nil {
		return err
	}
	if err := s.rolledOut(ctx); err != nil {
		return err
	}
	return s.install(ctx, tagAfter) // with the migration fixed, which takes the failed one away
}
