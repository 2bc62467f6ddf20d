package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

type object = map[string]any

// rendered contains the objects of the chart that Kyverno needs.
type rendered struct {
	policy object
	pods   []object // of the Deployments and the migration, with their names
}

// render renders the chart with the values of prod and additional values, in a namespace.
func render(ctx context.Context, bin, root, namespace string, values object) (*rendered, error) {
	text, err := yaml.Marshal(values)
	if err != nil {
		return nil, err
	}
	chart := filepath.Join(root, "helm", "pizza")
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "helm"), "template", "pizza", chart, "--namespace", namespace,
		"-f", filepath.Join(root, "deploy/environments/prod/values.yaml"), "-f", "-")
	cmd.Stdin = strings.NewReader(string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("helm template: %w", err)
	}
	var r rendered
	for document := range strings.SplitSeq(string(out), "\n---\n") {
		var o object
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			return nil, err
		}
		switch o["kind"] {
		case "NamespacedImageValidatingPolicy":
			r.policy = o
		case "Deployment", "Job":
			template := o["spec"].(object)["template"].(object)
			r.pods = append(r.pods, pod(namespace, nameOf(o), template["spec"].(object)))
		}
	}
	if r.policy == nil || len(r.pods) == 0 {
		return nil, errors.New("the chart renders no policy, or no pods")
	}
	return &r, nil
}

func pod(namespace, name string, spec object) object {
	return object{"apiVersion": "v1", "kind": "Pod", "metadata": object{"name": name, "namespace": namespace}, "spec": spec}
}

func nameOf(o object) string { return o["metadata"].(object)["name"].(string) }

// with returns a pod in which all containers of one kind use the same image.
func with(kind string, of object, image string) object {
	spec := maps.Clone(of["spec"].(object))
	spec[kind] = []any{object{"name": "other", "image": image}}
	return pod(of["metadata"].(object)["namespace"].(string), nameOf(of), spec)
}
