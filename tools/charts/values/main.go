// Command values writes the values.schema.json of every chart from the one source
// helm/values.schema.yaml: a schema must stand in its chart alone, and the charts
// share most of theirs.
//
//	values HELM
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "values:", err)
		os.Exit(1)
	}
}

func run(helm string) error {
	text, err := os.ReadFile(filepath.Join(helm, "values.schema.yaml"))
	if err != nil {
		return err
	}
	var source struct {
		Definitions map[string]any
		Charts      map[string]string
	}
	if err := yaml.UnmarshalStrict(text, &source); err != nil {
		return err
	}
	if len(source.Charts) == 0 {
		return errors.New("the source names no chart")
	}
	for chart, definition := range source.Charts {
		used := map[string]any{}
		if err := use(source.Definitions, definition, used); err != nil {
			return err
		}
		schema, err := json.MarshalIndent(map[string]any{
			"$schema":     "http://json-schema.org/draft-07/schema#",
			"$comment":    "Code generated from helm/values.schema.yaml; DO NOT EDIT.",
			"title":       "Values of the chart " + chart,
			"$ref":        "#/definitions/" + definition,
			"definitions": used,
		}, "", "  ")
		if err != nil {
			return err
		}
		schema = append(schema, '\n')
		file := filepath.Join(helm, chart, "values.schema.json")
		if err := os.WriteFile(file, schema, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// use collects the definitions that one of them needs.
func use(all map[string]any, name string, used map[string]any) error {
	if used[name] != nil {
		return nil
	}
	if all[name] == nil {
		return fmt.Errorf("there is no definition %q", name)
	}
	used[name] = all[name]
	return refs(all, all[name], used)
}

func refs(all map[string]any, v any, used map[string]any) error {
	var bad []error
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			bad = append(bad, use(all, strings.TrimPrefix(ref, "#/definitions/"), used))
		}
		for _, inside := range v {
			bad = append(bad, refs(all, inside, used))
		}
	case []any:
		for _, inside := range v {
			bad = append(bad, refs(all, inside, used))
		}
	}
	return errors.Join(bad...)
}
