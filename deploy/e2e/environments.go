package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// stages returns the environments of the walk, in the order of promotion. The repository
// may have more.
func stages() []string { return []string{"dev", "stg", "prod"} }

// environment is a delivery stage with its own database.
type environment struct {
	cluster
	name      string
	host      string // Host header for the Ingress
	database  *database
	customers *customers // nil until regulars
}

func (w *walk) environment(ctx context.Context, name string, folder string) (*environment, error) {
	e := &environment{cluster: cluster{"pizza-" + name, w.log}, name: name, host: name + ".pizza-gitops.test"}
	var err error
	if e.database, err = startDatabase(ctx, filepath.Join(folder, name), w.settings.Host, w.log); err != nil {
		return nil, err
	}
	return e, e.database.create(ctx)
}

// prepare creates the prerequisites of the first sync: the namespace and its
// Secrets, which are in no values outside of dev.
func (e *environment) prepare(ctx context.Context, key string) error {
	if err := e.makeNamespace(ctx); err != nil {
		return err
	}
	p := e.database.passwords
	for name, content := range map[string]map[string]string{
		"jwt-keys":        {"current": key, "previous": ""},
		"login-secrets":   {"DB_PASSWORD": p.Login},
		"menu-secrets":    {"DB_PASSWORD": p.Menu},
		"order-secrets":   {"DB_PASSWORD": p.Order},
		"migrate-secrets": {"DB_USER": "migrator", "DB_PASSWORD": p.Migrator},
	} {
		secret, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": name}, "stringData": content})
		if err != nil {
			return err
		}
		if err := e.apply(ctx, string(secret)); err != nil {
			return err
		}
	}
	return nil
}

// ours labels the namespaces of a walk. Others must not be touched.
const ours = "pizza.example.com/of"

// makeNamespace applies server-side. Argo CD, which sets labels too, deletes those that the client has applied.
func (c cluster) makeNamespace(ctx context.Context) error {
	namespace := fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q,"labels":{%q:"gitops"}}}`, c.namespace, ours)
	_, err := c.run(ctx, namespace, "kubectl", "apply", "--server-side", "--field-manager=walk", "-f", "-")
	return err
}

// dropNamespace deletes the namespace if it belongs to a walk.
func (c cluster) dropNamespace(ctx context.Context) error {
	out, err := c.kubectl(ctx, "get", "namespace", c.namespace, "--ignore-not-found", "-o", "json")
	if err != nil || out == "" {
		return err
	}
	var n struct {
		Metadata struct{ Labels map[string]string }
	}
	if err := json.Unmarshal([]byte(out), &n); err != nil {
		return err
	}
	if n.Metadata.Labels[ours] != "gitops" {
		return fmt.Errorf("there is a namespace %s on this cluster, which is not of an earlier walk: nothing was touched", c.namespace)
	}
	// An unfinished hook has a finalizer that only Argo CD removes, which has stopped.
	hooks, err := c.kubectl(ctx, "get", "jobs,serviceaccounts,secrets", "-o", "name")
	for hook := range strings.FieldsSeq(hooks) {
		_, patchErr := c.kubectl(ctx, "patch", hook, "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
		err = errors.Join(err, patchErr)
	}
	_, deleteErr := c.kubectl(ctx, "delete", "namespace", c.namespace, "--timeout=120s")
	return errors.Join(err, deleteErr)
}

// values returns the settings of an environment that differ from the repository:
// the address of the database, and smaller limits.
func (w *walk) values(e *environment) map[string]any {
	type object = map[string]any
	service := func(name string, pool int) object {
		return object{
			"autoscaling": object{"enabled": e.name != "dev", "minReplicas": 2, "maxReplicas": 3}, "resources": small(),
			"database": object{"maxConnections": pool}, "secrets": object{"existingSecret": name + "-secrets", "values": object{}},
		}
	}
	order := service("order", 4)
	order["config"] = object{"ORDER_RATE_PER_MEMBER": "off", "ORDER_READ_RATE_PER_MEMBER": "off", "ORDER_QUEUE_WAIT": "5s"}
	values := w.settings.cloud(e.database, w.builder.evidence.Registry, e.host)
	global := values["global"].(object)
	global["jwt"] = object{"existingSecret": "jwt-keys"}
	global["postgresql"].(object)["sslmode"] = "prefer" // these databases have no certificate
	global["postgresql"].(object)["ca"] = object{"configMap": ""}
	values["login"], values["menu"], values["order"] = service("login", 3), service("menu", 3), order
	values["migration"] = object{"existingSecret": "migrate-secrets", "seed": true, "backoffLimit": 0}
	return values
}
