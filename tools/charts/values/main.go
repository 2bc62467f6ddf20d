// Command values writes the values.schema.json of the chart pizza from its source
// helm/values.schema.yaml.
//
// What a setting of a program may be comes from helm/settings, which the tests of
// the services keep equal to the code. The source refers to it:
//
//	setting: LOG_LEVEL   the rule of one setting, the same in each service
//	settings: order      an object of all settings of a service
//	secrets: order       the same, with its secrets
//
//	values HELM
package main

import (
	"encoding/json"
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
	var source map[string]any
	if err := yaml.UnmarshalStrict(text, &source); err != nil {
		return err
	}
	known, err := settings(helm)
	if err != nil {
		return err
	}
	expanded, err := known.expand(source)
	if err != nil {
		return err
	}
	schema := expanded.(map[string]any)
	schema["$schema"] = "http://json-schema.org/draft-07/schema#"
	schema["$comment"] = "Code generated from helm/values.schema.yaml; DO NOT EDIT."
	schema["title"] = "Values of the chart pizza"
	text, err = json.MarshalIndent(schema, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(helm, "pizza", "values.schema.json"), append(text, '\n'), 0o644)
}

// services are the rules of the settings of each service, by name.
type services map[string]map[string]any

func settings(helm string) (services, error) {
	files, err := filepath.Glob(filepath.Join(helm, "settings", "*.json"))
	if err != nil {
		return nil, err
	}
	all := services{}
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

func (s services) rule(name string) (any, error) {
	for _, rules := range s {
		if rule, found := rules[name]; found {
			return rule, nil
		}
	}
	return nil, fmt.Errorf("there is no setting %q", name)
}

// expand returns a copy in which references to settings are replaced by rules.
func (s services) expand(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		if name, ok := v["setting"].(string); ok {
			return s.rule(name)
		}
		if service, ok := v["settings"].(string); ok {
			return s.object(service, false)
		}
		if service, ok := v["secrets"].(string); ok {
			return s.object(service, true)
		}
		out := map[string]any{}
		for key, inside := range v {
			expanded, err := s.expand(inside)
			if err != nil {
				return nil, err
			}
			out[key] = expanded
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, inside := range v {
			expanded, err := s.expand(inside)
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
func (s services) object(service string, secrets bool) (any, error) {
	if s[service] == nil {
		return nil, fmt.Errorf("there are no settings of %q", service)
	}
	properties := map[string]any{}
	for name, rule := range s[service] {
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
	}, nil
}
