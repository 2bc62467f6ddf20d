package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	release   = "pizza"
	host      = "pizza-e2e.test"
	tagBefore = "e2e-1"
	tagAfter  = "e2e-2"
	registry  = "registry.example.com/pizza"
	maxStale  = "20s" // maximum age of cached prices for orders

	monitoring = "-monitoring" // suffix of the namespace of Prometheus
)

// system is the installed release and its parts outside of the cluster.
type system struct {
	cluster
	settings  Settings
	root      string // the repository
	work      string // folder for intermediate files
	database  *database
	customers *customers
	key       string // signs tokens
}

// checkout is where the page is followed.
func (s *system) checkout() string { return filepath.Join(s.work, "pizza") }

// site returns the values of prod on this cluster, with images of a registry.
func (s *system) site(registry string) map[string]any {
	type object = map[string]any
	service := func(config object) object {
		return object{"replicas": 2, "autoscaling": object{"enabled": false}, "resources": small(), "config": config}
	}
	values := s.settings.cloud(s.database, registry, host)
	// A few members from one address send the load of many.
	values["login"] = service(object{"LOGIN_RATE_PER_ACCOUNT": "off", "LOGIN_RATE_PER_ACCOUNT_AND_ADDRESS": "off"})
	values["menu"] = service(object{})
	// The node can be a busy laptop: orders wait for capacity instead of being
	// rejected.
	values["order"] = service(object{"QUOTE_MAX_STALE": maxStale, "ORDER_RATE_PER_MEMBER": "off", "ORDER_READ_RATE_PER_MEMBER": "off", "ORDER_QUEUE_WAIT": "5s"})
	return values
}

// small returns pod resources that fit a laptop.
func small() map[string]any {
	return map[string]any{"requests": map[string]any{"cpu": "50m", "memory": "64Mi"}, "limits": map[string]any{"cpu": "1", "memory": "256Mi"}}
}

// cloud returns the values that differ where an environment has no cloud: the addresses, and what is not there.
func (s Settings) cloud(d *database, registry, host string) map[string]any {
	type object = map[string]any
	namespace := func(name string) []object {
		return []object{{"namespaceSelector": object{"matchLabels": object{"kubernetes.io/metadata.name": name}}}}
	}
	off := object{"enabled": false}
	return object{
		"global": object{
			"image":      object{"registry": registry},
			"postgresql": object{"host": s.Host, "port": d.door.port(), "maxConnections": maxConnections},
			"networkPolicy": object{
				"ingressController": namespace(s.IngressNamespace),
				"prometheus":        namespace(s.Namespace + monitoring),
				"database":          object{"cidrs": []string{s.Host + "/32"}},
			},
			"imagePolicy": off, // there is no Kyverno; make check STEPS=policy tests it
			"monitoring":  object{"serviceMonitor": off, "prometheusRule": off},
		},
		"ingress": object{"hosts": []string{host}, "tls": []string{}},
	}
}

// install upgrades the release to the images of a tag, and waits for the rollout. more
// are extra arguments for helm.
func (s *system) install(ctx context.Context, tag string, more ...string) error {
	chart, err := filepath.Glob(filepath.Join(s.checkout(), ".local", "charts", "pizza-*.tgz"))
	if err != nil || len(chart) != 1 {
		return errors.Join(err, fmt.Errorf("the pushed charts are %q, want one", chart))
	}
	args := []string{
		"upgrade", release, chart[0], "-f", filepath.Join(s.checkout(), "deploy/environments/prod/values.yaml"),
		"--set", "global.image.registry=" + registry, "--set", "global.image.tag=" + tag, "--wait", "--timeout", "5m",
	}
	if _, err := s.helm(ctx, append(args, more...)...); err != nil {
		return err
	}
	return s.rolledOut(ctx)
}

// allReady waits until every pod is ready and each service has at least two.
func (s *system) allReady(ctx context.Context, limit time.Duration) error {
	return wait(ctx, "every pod ready", limit, func(ctx context.Context) (bool, error) {
		pods, err := s.pods(ctx, "")
		serving := map[string]int{}
		for _, p := range pods {
			if p.Metadata.DeletionTimestamp == nil && !p.ready() {
				return false, err
			}
			if p.ready() {
				serving[p.Metadata.Labels["app.kubernetes.io/name"]]++
			}
		}
		for _, name := range services() {
			if serving[name] < 2 {
				return false, err
			}
		}
		return true, err
	})
}

// leftovers returns the objects that the release left in the namespace.
func (s *system) leftovers(ctx context.Context) (string, error) {
	out, err := s.kubectl(ctx, "get", "-o", "name",
		"all,configmaps,secrets,serviceaccounts,ingresses,networkpolicies,poddisruptionbudgets,horizontalpodautoscalers,roles,rolebindings")
	given := []string{"configmap/database-ca"}
	for _, name := range secretNames() {
		given = append(given, "secret/"+name)
	}
	var left []string
	for name := range strings.Lines(out) {
		name = strings.TrimSpace(name)
		if !slices.Contains(append(given, "configmap/kube-root-ca.crt", "serviceaccount/default"), name) {
			left = append(left, name)
		}
	}
	return strings.Join(left, " "), err
}

// hostAddress returns the node's address if it belongs to this machine.
func (c cluster) hostAddress(ctx context.Context) (string, error) {
	out, err := c.kubectl(ctx, "get", "nodes", "-o", `jsonpath={.items[*].status.addresses[?(@.type=="InternalIP")].address}`)
	if err != nil {
		return "", err
	}
	mine, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, node := range strings.Fields(out) {
		for _, a := range mine {
			if n, ok := a.(*net.IPNet); ok && n.IP.String() == node {
				return node, nil
			}
		}
	}
	return "", errors.New("the node is another machine: E2E_HOST must say at which address pods reach this one")
}

// reach runs pods with the given labels that try addresses, and returns which
// addresses were reached.
func (c cluster) reach(ctx context.Context, name string, labels map[string]string, addresses ...string) (map[string]bool, error) {
	reached := map[string]bool{}
	for i, address := range addresses {
		pod := fmt.Sprintf("reach-%s-%d", name, i)
		manifest, err := json.Marshal(map[string]any{
			"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": pod, "labels": labels},
			"spec": map[string]any{
				"restartPolicy": "Never", "automountServiceAccountToken": false,
				"containers": []any{map[string]any{"name": "reach", "image": registry + "/order:" + tagBefore, "imagePullPolicy": "IfNotPresent", "args": []string{"smoke", address}}},
			},
		})
		if err != nil {
			return nil, err
		}
		if err := c.apply(ctx, string(manifest)); err != nil {
			return nil, err
		}
		var phase string
		err = wait(ctx, pod, time.Minute, func(ctx context.Context) (bool, error) {
			phase, err = c.kubectl(ctx, "get", "pod", pod, "-o", "jsonpath={.status.phase}")
			return phase == "Succeeded" || phase == "Failed", err
		})
		if err != nil {
			return nil, err
		}
		reached[address] = phase == "Succeeded"
		if _, err := c.kubectl(ctx, "delete", "pod", pod, "--wait=false"); err != nil {
			return nil, err
		}
	}
	return reached, nil
}

// logged writes to the log of the run, for debugging.
func logged(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
