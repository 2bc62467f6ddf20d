package observability

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// Rules and Dashboards are folders of the repository. They are inside the chart,
// because a chart cannot read files outside of its folder.
const (
	Rules      = "helm/pizza/files/rules"
	Dashboards = "helm/pizza/files/dashboards"
)

// Rule is a Prometheus recording or alerting rule.
type Rule struct {
	Record      string            `json:"record,omitempty"`
	Alert       string            `json:"alert,omitempty"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Group is a group of rules that are evaluated in sequence.
type Group struct {
	Name     string `json:"name"`
	Interval string `json:"interval,omitempty"`
	Rules    []Rule `json:"rules"`
}

// RuleFile is a Prometheus rule file.
type RuleFile struct {
	Groups []Group `json:"groups"`
}

// ReadRules reads the rule files in a folder, keyed by file name.
func ReadRules(folder string) (map[string]RuleFile, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, err
	}
	files := map[string]RuleFile{}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var f RuleFile
		if err := yaml.UnmarshalStrict(b, &f); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		files[filepath.Base(path)] = f
	}
	return files, nil
}
