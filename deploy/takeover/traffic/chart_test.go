package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"sigs.k8s.io/yaml"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type object = map[string]any

// cluster answers like kubectl get, with objects by resource.
type cluster map[string][]object

func (c cluster) get(_ context.Context, args ...string) ([]byte, error) {
	items, found := c[args[1]]
	if !found {
		resource, _, _ := strings.Cut(args[1], ".")
		return nil, fmt.Errorf("error: the server doesn't have a resource type %q", resource)
	}
	return json.Marshal(object{"kind": "List", "items": items})
}

var resources = map[string]string{
	"Ingress":        "ingresses.networking.k8s.io",
	"HTTPRoute":      "httproutes.gateway.networking.k8s.io",
	"IngressRoute":   "ingressroutes.traefik.io",
	"TraefikService": "traefikservices.traefik.io",
	"EndpointSlice":  "endpointslices.discovery.k8s.io",
}

// add puts an object into the cluster.
func (c cluster) add(o object) {
	if resource := resources[o["kind"].(string)]; resource != "" {
		c[resource] = append(c[resource], o)
	}
}

// endpoints adds an EndpointSlice as Kubernetes makes it of the pods of a Service.
func (c cluster) endpoints(service string, ready ...bool) {
	endpoints := []object{}
	for i, r := range ready {
		endpoints = append(endpoints, object{
			"addresses": []string{fmt.Sprintf("10.0.0.%d", i)}, "conditions": object{"ready": r},
			"targetRef": object{"kind": "Pod", "name": fmt.Sprintf("%s-%d", service, i)},
		})
	}
	c.add(object{
		"kind": "EndpointSlice", "endpoints": endpoints,
		"metadata": object{"name": service, "labels": object{"kubernetes.io/service-name": service}},
	})
}

// packaged returns a copy of the chart with its dependencies.
func packaged(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("../../../helm")); err != nil {
		t.Fatal(err)
	}
	chart := filepath.Join(folder, "pizza")
	helm(t, "dependency", "build", chart)
	return chart
}

func helm(t *testing.T, args ...string) []byte {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "../../../.local/bin/helm", args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("helm %q: %v (make .local/bin/helm builds it)\n%s", args, err, &stderr)
	}
	return stdout.Bytes()
}

// installed is a cluster with what a scenario of the chart renders, where each Service has one pod that is ready.
func installed(t *testing.T, chart, scenario string, args ...string) cluster {
	t.Helper()
	c := cluster{resources["Ingress"]: nil, resources["EndpointSlice"]: nil}
	values := filepath.Join(chart, "ci", scenario+"-values.yaml")
	text := helm(t, append([]string{"template", "pizza", chart, "--namespace", "pizza", "--values", values}, args...)...)
	for document := range bytes.SplitSeq(text, []byte("\n---")) {
		var o object
		if err := yaml.Unmarshal(document, &o); err != nil {
			t.Fatal(err)
		}
		if len(o) == 0 {
			continue
		}
		c.add(o)
		spec, _ := o["spec"].(object)
		if o["kind"] == "Service" && spec["selector"] != nil {
			c.endpoints(o["metadata"].(object)["name"].(string), true)
		}
	}
	return c
}

// report runs the command with --json.
func report(t *testing.T, c cluster) (*Report, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), []string{"--namespace", "pizza", "--json"}, c.get, &stdout, &stderr)
	if err != nil && !errors.Is(err, errWarned) {
		t.Fatal(err, stderr.String())
	}
	var r Report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	return &r, err
}
