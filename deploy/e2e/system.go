package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/pizza/deploy/images"
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

// loadImages loads the images onto the nodes under both tags.
func (s *system) loadImages(ctx context.Context) error {
	work, ctx := errgroup.WithContext(ctx)
	for _, image := range images.All() {
		work.Go(func() error {
			folder, err := s.image(ctx, image)
			if err != nil {
				return err
			}
			for _, tag := range []string{tagBefore, tagAfter} {
				if err := load(ctx, s.cluster, s.settings, folder, registry+"/"+image.Name+":"+tag, tag); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return work.Wait()
}

// image returns the folder of a copy of the existing image, or of one that it builds.
func (s *system) image(ctx context.Context, image images.Image) (string, error) {
	folder := filepath.Join(s.work, "images")
	target := filepath.Join(folder, image.Name)
	if s.settings.Images != "" {
		if ready := filepath.Join(s.settings.Images, image.Name); exists(ready) {
			return target, errors.Join(os.RemoveAll(target), os.CopyFS(target, os.DirFS(ready)))
		}
	}
	return target, images.Ko{Program: ko(s.root)}.Build(ctx, s.root, folder, image)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// values returns the chart values that differ from the environment dev.
func (s *system) values() map[string]any {
	type object = map[string]any
	service := func(password string, config object) object {
		return object{
			"replicas": 2, "autoscaling": object{"enabled": false}, "resources": small(), "config": config,
			"secrets": object{"values": object{"DB_PASSWORD": password}},
		}
	}
	// The node can be a busy laptop: orders wait for capacity instead of being
	// rejected.
	order := service(s.database.passwords.Order, object{"QUOTE_MAX_STALE": maxStale, "ORDER_RATE_PER_MEMBER": "off", "ORDER_READ_RATE_PER_MEMBER": "off", "ORDER_QUEUE_WAIT": "5s"})
	order["database"] = object{"maxConnections": 10}
	p := s.database.passwords
	return object{
		"global": object{
			"image":         object{"registry": registry},
			"postgresql":    object{"host": s.settings.Host, "port": s.database.door.port(), "maxConnections": maxConnections},
			"jwt":           object{"existingSecret": "jwt-keys"}, // changed without an upgrade
			"networkPolicy": networkPolicy(s.settings),
		},
		// A few members from one address send the load of many.
		"login":     service(p.Login, object{"LOGIN_RATE_PER_ACCOUNT": "off", "LOGIN_RATE_PER_ACCOUNT_AND_ADDRESS": "off"}),
		"menu":      service(p.Menu, object{}),
		"order":     order,
		"migration": object{"values": object{"DB_PASSWORD": p.Migrator}},
		"ingress":   object{"hosts": []string{host}},
	}
}

// small returns pod resources that fit a laptop.
func small() map[string]any {
	return map[string]any{"requests": map[string]any{"cpu": "50m", "memory": "64Mi"}, "limits": map[string]any{"cpu": "1", "memory": "256Mi"}}
}

// networkPolicy returns the locations of the allowed peers on this cluster.
func networkPolicy(s Settings) map[string]any {
	type object = map[string]any
	namespace := func(name string) []object {
		return []object{{"namespaceSelector": object{"matchLabels": object{"kubernetes.io/metadata.name": name}}}}
	}
	return object{
		"ingressController": namespace(s.IngressNamespace),
		"prometheus":        namespace(s.Namespace + monitoring),
		"database":          object{"cidrs": []string{s.Host + "/32"}},
	}
}

// install installs or upgrades the release and waits for the rollout. more are
// extra arguments for helm.
func (s *system) install(ctx context.Context, tag string, more ...string) error {
	values, err := json.Marshal(s.values())
	if err != nil {
		return err
	}
	file := filepath.Join(s.work, "values.json")
	if err := os.WriteFile(file, values, 0o600); err != nil {
		return err
	}
	args := []string{
		"upgrade", "--install", release, filepath.Join(s.root, "helm/pizza"), "-f", filepath.Join(s.root, "deploy/environments/dev/values.yaml"), "-f", file,
		"--set", "global.image.tag=" + tag, "--wait", "--timeout", "5m",
	}
	if _, err := s.helm(ctx, append(args, more...)...); err != nil {
		return err
	}
	return s.rolledOut(ctx)
}

// prepare creates the namespace and the Secret that the release expects.
func (s *system) prepare(ctx context.Context) error {
	if _, err := s.helm(ctx, "dependency", "build", filepath.Join(s.root, "helm/pizza")); err != nil {
		return err
	}
	if err := s.apply(ctx, fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q}}`, s.namespace)); err != nil {
		return err
	}
	return s.apply(ctx, fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"jwt-keys"},"stringData":{"current":%q,"previous":""}}`, s.key))
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
	var left []string
	for name := range strings.Lines(out) {
		switch name = strings.TrimSpace(name); name {
		case "", "configmap/kube-root-ca.crt", "serviceaccount/default", "secret/jwt-keys":
		case "secret/login-secrets", "secret/menu-secrets", "secret/order-secrets": // kept by their annotation
		default:
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
