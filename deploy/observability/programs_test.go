package observability_test

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"example.com/pizza/deploy/observability"
)

// A command is a call in a page.
type command struct {
	page page
	prod release
	sets []string // variables before the program
	args []string // with the program
}

// programs has the check of each program that a page may call.
var programs map[string]func(command) error

func init() {
	programs = map[string]func(command) error{
		"kubectl":           command.kubectl,
		"helm":              command.helm,
		"make":              command.make,
		"tools/delivery.sh": command.delivery,
		"argocd":            command.argocd,
		"migrate":           command.migrate,
		"go":                command.goRun,
		"curl":              command.curl,
		"grep":              command.grep,
	}
	for _, filter := range strings.Fields("date echo head jq pkill sed sort tail uniq uuidgen nats openssl pg_dump") {
		programs[filter] = func(command) error { return nil }
	}
}

// helm is only for installations without Argo CD, which reverts its changes elsewhere.
func (c command) helm() error {
	if c.page.name != "../README.md" {
		return errors.New("Argo CD reverts it: use make rollback")
	}
	return nil
}

// contains reports whether a file of the repository matches an expression.
func contains(expression string, files ...string) error {
	for _, pattern := range files {
		found, _ := filepath.Glob(filepath.Join("../..", pattern))
		for _, file := range found {
			if text, err := os.ReadFile(file); err == nil && regexp.MustCompile(expression).Match(text) {
				return nil
			}
		}
	}
	return fmt.Errorf("nothing in %q matches %s", files, expression)
}

func (c command) make() error {
	for _, word := range c.args[1:] {
		name, value, isVariable := strings.Cut(word, "=")
		if !isVariable {
			if contains(`(?m)^\.PHONY: `+word+`$`, "Makefile") != nil {
				return fmt.Errorf("there is no make %s", word)
			}
			continue
		}
		if err := contains(`\b`+name+`\b`, "Makefile", "tools/*.sh", "deploy/local/cmd/local/*.go"); err != nil {
			return err
		}
		for step := range strings.FieldsSeq(value) {
			if name != "STEPS" || value == "…" {
				break
			}
			if err := contains(`(?m)^`+step+`\(\)`, "tools/check.sh"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c command) delivery() error {
	if len(c.args) < 2 {
		return nil
	}
	failed := contains(`(?m)^`+c.args[1]+`\)$`, "tools/delivery.sh")
	for _, name := range c.sets {
		failed = errors.Join(failed, contains(`\b`+name+`\b`, "tools/*.sh"))
	}
	return failed
}

// argocd checks the names of Applications.
func (c command) argocd() error {
	name := regexp.MustCompile(`^pizza-(\w+)-(\w+)$`)
	for _, word := range c.args[1:] {
		if !strings.HasPrefix(word, "pizza") {
			continue
		}
		m := name.FindStringSubmatch(word)
		if m == nil || contains(`.`, "deploy/environments/"+m[1]+"/images.yaml") != nil ||
			contains(`\{part: `+m[2]+`\}`, "deploy/argocd/templates/applications.yaml") != nil {
			return fmt.Errorf("there is no Application %s", word)
		}
	}
	return nil
}

func (c command) migrate() error {
	return contains(`(?m)^  migrate `+c.args[1]+`\b`, "migrations/cmd/migrate/run.go")
}

func (c command) goRun() error {
	if len(c.args) < 4 || c.args[2] != "./migrations/cmd/migrate" {
		return errors.New("only go run ./migrations/cmd/migrate is known")
	}
	return command{args: c.args[2:]}.migrate()
}

// curl checks that the page forwards the port, or that a Service has it, and parses a query.
func (c command) curl() error {
	for _, word := range c.args[1:] {
		if query, found := strings.CutPrefix(word, "query="); found {
			if _, err := observability.Reads(query); err != nil {
				return err
			}
		}
		if !regexp.MustCompile(`^(http://)?[\w-]+:\d+/`).MatchString(word) {
			continue
		}
		u, err := url.Parse("http://" + strings.TrimPrefix(word, "http://"))
		if err != nil {
			return err
		}
		if u.Hostname() != "localhost" {
			if !c.prod.hasPort("Service", u.Hostname(), u.Port()) {
				return fmt.Errorf("no Service %s has the port %s", u.Hostname(), u.Port())
			}
			continue
		}
		isLocal := u.Port() == "8000" && strings.HasPrefix(u.Path, "/api/") // of make run
		if !isLocal && !regexp.MustCompile(`port-forward [^\n]* `+u.Port()+`\b`).MatchString(c.page.text) {
			return fmt.Errorf("the page forwards no port %s", u.Port())
		}
	}
	return nil
}

// grep checks that the services write the log line.
func (c command) grep() error {
	line := regexp.MustCompile(`"(?:msg|event)":"([^"]+)"`)
	for _, m := range line.FindAllStringSubmatch(strings.Join(c.args, " "), -1) {
		if err := contains(`"`+m[1]+`"`, "pkg/*/*.go", "pkg/*/*/*.go", "services/*/internal/*/*.go"); err != nil {
			return err
		}
	}
	return nil
}

type object = map[string]any

// A release has the objects of a chart by kind and name.
type release map[string]object

// renderProd renders what Argo CD applies to prod, each part by itself, and order with a
// canary too.
func renderProd(t *testing.T) release {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("../../helm")); err != nil {
		t.Fatal(err)
	}
	helm := func(args ...string) []byte {
		out, err := exec.CommandContext(t.Context(), "../../.local/bin/helm", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("helm %q: %v (make .local/bin/helm builds it)\n%s", args, err, out)
		}
		return out
	}
	chart := filepath.Join(folder, "pizza")
	helm("dependency", "build", chart)
	objects := release{}
	values := []string{"--namespace", "pizza-prod", "--values", "../environments/prod/values.yaml"}
	for _, part := range [][]string{{"shared"}, {"login"}, {"menu"}, {"order"}, {"order", "--set", "order.canary.enabled=true"}} {
		args := append([]string{"template", "pizza", chart}, values...)
		for _, other := range []string{"shared", "login", "menu", "order"} {
			args = append(args, "--set", fmt.Sprintf("%s.enabled=%t", other, other == part[0]))
		}
		for document := range strings.SplitSeq(string(helm(append(args, part[1:]...)...)), "\n---") {
			var o object
			if err := yaml.Unmarshal([]byte(document), &o); err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("%v/%v", o["kind"], inside(o, "metadata", "name"))
			if len(o) > 0 && objects[name] == nil {
				objects[name] = o
			}
		}
	}
	if len(objects) < 40 {
		t.Fatalf("prod has only the objects %q", slices.Sorted(maps.Keys(objects)))
	}
	return objects
}

// inside returns a value by its path, or nil.
func inside(v any, path ...string) any {
	for _, key := range path {
		o, _ := v.(object)
		v = o[key]
	}
	return v
}
