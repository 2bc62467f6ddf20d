// Command values writes the values.schema.json of every chart from the one source
// helm/values.schema.yaml: a schema must stand in its chart alone, and the charts
// share most of theirs.
//
// What a setting of a program may be comes from helm/settings, which the tests of
// the services keep equal to the code. The source refers to it:
//
//	setting: LOG_LEVEL   the rule of one setting
//	settings: config     an object of all settings of the chart's service
//	settings: secrets    the same, with its secrets
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
	all, err := settings(helm)
	if err != nil {
		return err
	}
	for chart, definition := range source.Charts {
		definitions, err := known{all, all[chart]}.expand(source.Definitions)
		if err != nil {
			return fmt.Errorf("chart %s: %w", chart, err)
		}
		used := map[string]any{}
		if err := use(definitions.(map[string]any), definition, used); err != nil {
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

// settings returns the rules of the settings of each service, by name.
func settings(helm string) (map[string]map[string]any, error) {
	files, err := filepath.Glob(filepath.Join(helm, "settings", "*.json"))
	if err != nil {
		return nil, err
	}
	all := map[string]map[string]any{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var rules map[string]any
		if err := json.Unmarshal(text, &rules); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = rules
	}
	return all, nil
}

// known are the settings that a schema can refer to.
type known struct {
	all map[string]map[string]any // by service: one setting is the same in each
	own map[string]any            // of the chart's own service
}

func (k known) rule(name string) (any, error) {
	for _, rules := range k.all {
		if rule, found := rules[name]; found {
			return rule, nil
		}
	}
	return nil, fmt.Errorf("there is no setting %q", name)
}

// expand returns a copy in which references to settings are replaced by rules.
func (k known) expand(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		if name, ok := v["setting"].(string); ok {
			return k.rule(name)
		}
		if kind, ok := v["settings"].(string); ok {
			return object(k.own, kind == "secrets"), nil
		}
		out := map[string]any{}
		for key, inside := range v {
			expanded, err := k.expand(inside)
			if err != nil {
				return nil, err
			}
			out[key] = expanded
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, inside := range v {
			expanded, err := k.expand(inside)
			if err != nil {
				return nil, err
			}
			out[i] = expanded
		}
		return out, nil
	default:
		return v, nil
	}
}

// librarySettings are read by the SDK of OpenTelemetry, the Go runtime and its TLS.
const librarySettings = "^(OTEL_[A-Z0-9_]+|GODEBUG|GOGC|GOMEMLIMIT|GOMAXPROCS|SSL_CERT_FILE|SSL_CERT_DIR)$"

// object allows the settings of a service as environment variables. Secrets have
// no place among the others, which everybody who reads the namespace sees.
func object(own map[string]any, secrets bool) map[string]any {
	properties := map[string]any{}
	for name, rule := range own {
		rule := rule.(map[string]any)
		if secret, _ := rule["writeOnly"].(bool); secret && !secrets {
			continue
		}
		if rule["type"] == "array" {
			rule = map[string]any{"type": "string", "description": rule["description"]}
		}
		properties[name] = rule
	}
	return map[string]any{
		"type": "object", "properties": properties, "additionalProperties": false,
		"patternProperties": map[string]any{librarySettings: map[string]any{"type": "string"}},
	}
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
