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

	"sigs.k8s.io/yaml"
)

// verdict is the result of the policy for a pod: pass, fail, skip or error, or empty
// if the policy does not apply.
type verdict struct {
	result  string
	message string
}

// judge returns Kyverno's verdict on each pod of a case.
func judge(ctx context.Context, bin string, c try) (map[string]verdict, error) {
	dir, err := os.MkdirTemp("", "policy")
	if err != nil {
		return nil, err
	}
	verdicts, err := judgeIn(ctx, dir, bin, c)
	return verdicts, errors.Join(err, os.RemoveAll(dir))
}

func judgeIn(ctx context.Context, dir, bin string, c try) (map[string]verdict, error) {
	args := []string{"apply", filepath.Join(dir, "policy.yaml"), "--resource", filepath.Join(dir, "pods.yaml"),
		"--registry", "--policy-report", "--output-format", "json"}
	files := map[string][]object{"policy.yaml": {c.policy}, "pods.yaml": c.pods}
	if len(c.exceptions) > 0 {
		files["exceptions.yaml"] = c.exceptions
		args = append(args, "--exception", filepath.Join(dir, "exceptions.yaml"))
	}
	if c.update {
		files["values.yaml"] = []object{{
			"apiVersion": "cli.kyverno.io/v1alpha1", "kind": "Values", "metadata": object{"name": "update"},
			"globalValues": object{"request.operation": "UPDATE"},
		}}
		args = append(args, "--values-file", filepath.Join(dir, "values.yaml"))
	}
	for name, objects := range files {
		if err := write(filepath.Join(dir, name), objects); err != nil {
			return nil, err
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "kyverno"), args...)
	cmd.Env = append(os.Environ(), "HOME="+dir) // for its cache of the transparency log's keys
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	// It exits with 1 if a pod fails, but still prints the reports, one per line.
	if err != nil && !bytes.Contains(out, []byte("\n{")) {
		return nil, fmt.Errorf("kyverno: %w\n%s%s", err, out, &stderr)
	}
	verdicts := map[string]verdict{}
	for line := range bytes.Lines(out) {
		if !bytes.HasPrefix(line, []byte("{")) {
			continue // other output
		}
		var report struct {
			Results []struct {
				Result, Message string
				Resources       []struct{ Name string }
			}
		}
		if err := json.Unmarshal(line, &report); err != nil {
			return nil, fmt.Errorf("report of kyverno: %w\n%s", err, out)
		}
		for _, r := range report.Results {
			for _, pod := range r.Resources {
				verdicts[pod.Name] = verdict{result: r.Result, message: r.Message}
			}
		}
	}
	return verdicts, nil
}

func write(path string, objects []object) error {
	var text bytes.Buffer
	for _, o := range objects {
		y, err := yaml.Marshal(o)
		if err != nil {
			return err
		}
		text.WriteString("---\n")
		text.Write(y)
	}
	return os.WriteFile(path, text.Bytes(), 0o600)
}
