// Command schemas writes JSON schemas of what the charts render, for kubeconform:
// of each Kubernetes version that they support, from that version's own OpenAPI
// document, and of the operators' resources, from their own definitions. All of
// them come as Go modules, so the module proxy is all that it needs.
//
//	schemas DIR        →  DIR/v1.33.13/deployment-apps-v1.json, DIR/crd/servicemonitor-…
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// versions are the newest of each minor version that is supported.
func versions() []string { return []string{"v1.33.13", "v1.34.4", "v1.35.4", "v1.36.3", "v1.37.2"} }

// kinds are those that the charts render.
func kinds() map[string]bool {
	return map[string]bool{
		"apps/v1/Deployment": true, "v1/Service": true, "v1/ConfigMap": true, "v1/Secret": true, "v1/ServiceAccount": true, "v1/Pod": true,
		"batch/v1/Job": true, "autoscaling/v2/HorizontalPodAutoscaler": true, "policy/v1/PodDisruptionBudget": true,
		"networking.k8s.io/v1/Ingress": true, "networking.k8s.io/v1/NetworkPolicy": true,
		"discovery.k8s.io/v1/EndpointSlice": true,
	}
}

// definitions of resources that operators bring: module, and file in it.
func definitions() [][2]string {
	const (
		prometheus = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
		crds       = "example/prometheus-operator-crd/monitoring.coreos.com_"
		traefik    = "github.com/traefik/traefik/v3@v3.7.13"
		reference  = "docs/content/reference/dynamic-configuration/traefik.io_"
	)
	return [][2]string{
		{prometheus, crds + "servicemonitors.yaml"},
		{prometheus, crds + "prometheusrules.yaml"},
		{"sigs.k8s.io/gateway-api@v1.6.3", "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"},
		{traefik, reference + "ingressroutes.yaml"},
		{traefik, reference + "traefikservices.yaml"},
		{"github.com/argoproj/argo-rollouts@v1.10.1", "manifests/crds/rollout-crd.yaml"},
		{"github.com/argoproj/argo-rollouts@v1.10.1", "manifests/crds/analysis-template-crd.yaml"},
		{"github.com/kedacore/keda/v2@v2.21.0", "config/crd/bases/keda.sh_scaledobjects.yaml"},
		{"k8s.io/autoscaler/vertical-pod-autoscaler@v1.8.1", "deploy/vpa-v1-crd-gen.yaml"},
		{"github.com/kyverno/kyverno@v1.19.1", "config/crds/policies.kyverno.io/policies.kyverno.io_namespacedimagevalidatingpolicies.yaml"},
		{"github.com/external-secrets/external-secrets@v1.3.2", "config/crds/bases/external-secrets.io_externalsecrets.yaml"},
	}
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "schemas:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	for _, version := range versions() {
		if err := kubernetes(filepath.Join(dir, version), version); err != nil {
			return fmt.Errorf("kubernetes %s: %w", version, err)
		}
	}
	for _, d := range definitions() {
		if err := custom(filepath.Join(dir, "crd"), d[0], d[1]); err != nil {
			return fmt.Errorf("%s: %w", d[1], err)
		}
	}
	return nil
}

type object = map[string]any

func kubernetes(dir, version string) error {
	if made(dir) {
		return nil
	}
	text, err := fromModule("k8s.io/kubernetes@"+version, "api/openapi-spec/swagger.json")
	if err != nil {
		return err
	}
	var api struct{ Definitions map[string]object }
	if err := json.Unmarshal(text, &api); err != nil {
		return err
	}
	missing := kinds()
	for name, definition := range api.Definitions {
		group, version, kind := named(definition)
		key := strings.TrimPrefix(group+"/"+version+"/"+kind, "/")
		if !missing[key] {
			continue
		}
		delete(missing, key)
		reached := object{}
		reach(api.Definitions, name, reached)
		schema := object{"$ref": "#/definitions/" + name, "definitions": reached}
		if err := write(dir+".new", group, version, kind, schema); err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("there is no %v", missing)
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(dir+".new", dir)
}

// made reports whether dir has a schema of each kind already.
func made(dir string) bool {
	for key := range kinds() {
		parts := strings.Split("/"+key, "/")
		at := len(parts) - 3
		if _, err := os.Stat(filepath.Join(dir, file(parts[at], parts[at+1], parts[at+2]))); err != nil {
			return false
		}
	}
	return true
}

// named returns what a definition is of, if it is of one kind.
func named(definition object) (group, version, kind string) {
	list, _ := definition["x-kubernetes-group-version-kind"].([]any)
	if len(list) != 1 {
		return "", "", ""
	}
	of, _ := list[0].(object)
	text := func(key string) string { s, _ := of[key].(string); return s }
	return text("group"), text("version"), text("kind")
}

// reach collects what a definition refers to.
func reach(all map[string]object, name string, reached object) {
	if reached[name] != nil {
		return
	}
	definition := all[name]
	reached[name] = definition
	strict(definition)
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case object:
			if ref, ok := v["$ref"].(string); ok {
				reach(all, strings.TrimPrefix(ref, "#/definitions/"), reached)
			}
			for _, inside := range v {
				walk(inside)
			}
		case []any:
			for _, inside := range v {
				walk(inside)
			}
		}
	}
	walk(definition)
}

// strict refuses fields that are not in a schema, and drops what takes space.
func strict(schema object) {
	delete(schema, "description")
	if properties, ok := schema["properties"].(object); ok {
		if schema["additionalProperties"] == nil && schema["x-kubernetes-preserve-unknown-fields"] != true {
			schema["additionalProperties"] = false
		}
		for _, p := range properties {
			if p, ok := p.(object); ok {
				strict(p)
			}
		}
	}
	for _, inside := range []string{"items", "additionalProperties"} {
		if p, ok := schema[inside].(object); ok {
			strict(p)
		}
	}
	if schema["format"] == "int-or-string" || schema["x-kubernetes-int-or-string"] == true {
		delete(schema, "type")
		delete(schema, "format")
		schema["type"] = []string{"integer", "string"}
	}
	delete(schema, "format") // int32 and such, which is no format of JSON schema
}

func custom(dir, module, file string) error {
	text, err := fromModule(module, file)
	if err != nil {
		return err
	}
	for document := range bytes.SplitSeq(bytes.TrimPrefix(text, []byte("---\n")), []byte("\n---\n")) {
		if err := definition(dir, document); err != nil {
			return err
		}
	}
	return nil
}

// definition writes the schemas of one resource, for each of its versions.
func definition(dir string, text []byte) error {
	var crd struct {
		Spec struct {
			Group    string
			Names    struct{ Kind string }
			Versions []struct {
				Name   string
				Schema struct{ OpenAPIV3Schema object }
			}
		}
	}
	if err := yaml.Unmarshal(text, &crd); err != nil {
		return err
	}
	if len(crd.Spec.Versions) == 0 {
		return errors.New("it defines no version")
	}
	for _, v := range crd.Spec.Versions {
		schema := v.Schema.OpenAPIV3Schema
		strict(schema)
		if meta, ok := schema["properties"].(object)["metadata"].(object); ok {
			delete(meta, "additionalProperties")
		}
		if err := write(dir, crd.Spec.Group, v.Name, crd.Spec.Names.Kind, schema); err != nil {
			return err
		}
	}
	return nil
}

func write(dir, group, version, kind string, schema object) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.Marshal(schema)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, file(group, version, kind)), text, 0o644)
}

// file is the name by which kubeconform looks for a schema: kind, the first part of the group, and version.
func file(group, version, kind string) string {
	parts := []string{kind, version}
	if short, _, _ := strings.Cut(group, "."); short != "" {
		parts = []string{kind, short, version}
	}
	return strings.ToLower(strings.Join(parts, "-")) + ".json"
}

// fromModule returns a file of a module, which the go command downloads and keeps.
func fromModule(module, file string) ([]byte, error) {
	cmd := exec.Command("go", "mod", "download", "-json", module)
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("download %s: %w", module, err)
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal(out, &downloaded); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(downloaded.Dir, file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not in %s", file, module)
	}
	return text, err
}
