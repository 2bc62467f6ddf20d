package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"example.com/pizza/deploy/delivery"
)

// repository is a copy of this repository for one walk: a bare repository that
// Argo CD reads, and a developer's checkout.
type repository struct {
	cluster  // runs git
	bare     string
	checkout string
}

func (r repository) url() string { return "file://" + r.bare }

func (r repository) git(ctx context.Context, args ...string) (string, error) {
	args = append([]string{"-C", r.checkout, "-c", "user.name=A developer", "-c", "user.email=developer@example.com", "-c", "commit.gpgsign=false"}, args...)
	out, err := r.run(ctx, "", "git", args...)
	return strings.TrimSpace(out), err
}

// clone creates both from the newest commit of root.
func (r repository) clone(ctx context.Context, root string) error {
	for _, folder := range []string{r.bare, r.checkout} {
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	if _, err := r.run(ctx, "", "git", "clone", "--quiet", "--bare", root, r.bare); err != nil {
		return err
	}
	if _, err := r.run(ctx, "", "git", "clone", "--quiet", r.bare, r.checkout); err != nil {
		return err
	}
	if _, err := r.git(ctx, "checkout", "--quiet", "-B", "main"); err != nil {
		return err
	}
	_, err := r.git(ctx, "push", "--quiet", "--force", "origin", "main")
	return err
}

// include adds what root has changed since its newest commit, in the files of that commit.
func (r repository) include(ctx context.Context, root string) error {
	diff, err := r.run(ctx, "", "git", "-C", root, "diff", "--binary", "HEAD")
	if err != nil || diff == "" {
		return err
	}
	_, err = r.run(ctx, diff, "git", "-C", r.checkout, "apply", "--index")
	return err
}

// push commits and pushes all changes, and returns the commit.
func (r repository) push(ctx context.Context, message string) (string, error) {
	for _, args := range [][]string{{"add", "--all"}, {"commit", "--quiet", "--message", message}, {"push", "--quiet", "origin", "main"}} {
		if _, err := r.git(ctx, args...); err != nil {
			return "", err
		}
	}
	return r.git(ctx, "rev-parse", "HEAD")
}

// order names the environments, all in this cluster. Somebody syncs the last.
func (r repository) order(names []string) error {
	text := "environments:\n"
	for i, name := range names {
		text += fmt.Sprintf("  - {name: %s, cluster: {server: https://kubernetes.default.svc}, automated: %t}\n", name, i < len(names)-1)
	}
	return r.add(delivery.Order, text)
}

// merge adds settings to the values of an environment.
func (r repository) merge(environment string, settings map[string]any) error {
	path := filepath.Join(r.checkout, "deploy", "environments", environment, "values.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if text, err = json.Marshal(settings); err != nil {
		return err
	}
	var plain map[string]any
	if err := json.Unmarshal(text, &plain); err != nil {
		return err
	}
	overlay(values, plain)
	if text, err = yaml.Marshal(values); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// overlay merges values like Helm merges a second values file.
func overlay(values, more map[string]any) {
	for key, value := range maps.All(more) {
		into, isMap := values[key].(map[string]any)
		if from, both := value.(map[string]any); isMap && both {
			overlay(into, from)
			continue
		}
		values[key] = value
	}
}

// add creates a file.
func (r repository) add(path, text string) error {
	return os.WriteFile(filepath.Join(r.checkout, path), []byte(text), 0o600)
}

// edit replaces a text that must occur exactly once in a file.
func (r repository) edit(path, was, is string) error {
	path = filepath.Join(r.checkout, path)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if n := strings.Count(string(text), was); n != 1 {
		return fmt.Errorf("%q is in %s %d times", was, path, n)
	}
	return os.WriteFile(path, []byte(strings.Replace(string(text), was, is, 1)), 0o600)
}
