package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// secret is a row of the table in docs/operations/secrets.md.
type secret struct {
	value          string
	keys, optional []string
}

const secretsPage = "../../docs/operations/secrets.md"

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// quoted returns the parts of a text in backquotes.
func quoted(text string) (all []string) {
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

func secrets(t *testing.T) map[string]secret {
	t.Helper()
	all := map[string]secret{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| `([A-Za-z.]+)` \\|([^|]*)\\|([^|]*)\\|").FindAllStringSubmatch(read(t, secretsPage), -1) {
		all[m[1]] = secret{value: m[2], keys: slices.Sorted(slices.Values(quoted(m[3]))), optional: quoted(m[4])}
	}
	return all
}

// mentioned collects the names of Secrets that an object refers to.
func mentioned(v any, names map[string]bool) {
	switch v := v.(type) {
	case object:
		for key, within := range v {
			of := within
			if key == "secretRef" || key == "secretKeyRef" {
				of = inside(within, "name")
			}
			if name, ok := of.(string); ok && strings.HasPrefix(key, "secret") {
				names[name] = true
			}
			mentioned(within, names)
		}
	case []any:
		for _, within := range v {
			mentioned(within, names)
		}
	}
}

// The page matches the chart: the names in prod, and the keys in dev, where the chart
// creates the Secrets from values.
func TestSecretsPage(t *testing.T) {
	t.Parallel()
	chart, page := packaged(t), secrets(t)
	for _, environment := range environments(t)[1:] { // the first has its secrets in values
		names := map[string]bool{}
		for _, o := range render(t, chart, "--values", "../environments/"+environment+"/values.yaml") {
			mentioned(o, names)
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(names)), slices.Sorted(maps.Keys(page))); diff != "" {
			t.Errorf("Secrets (- %s reads, + the page has)\n%s", environment, diff)
		}
	}
	dev := render(t, chart, "--values", "../../helm/pizza/ci/dev-values.yaml")
	for name, s := range page {
		made, _ := inside(dev["Secret/"+name], "stringData").(object)
		if name == "pizza-tls" { // its keys are defined by Kubernetes
			made = object{"tls.crt": "", "tls.key": ""}
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(made)), s.keys); diff != "" {
			t.Errorf("keys of %s (- the chart's, + the page's)\n%s", name, diff)
		}
		service, isService := strings.CutSuffix(name, "-secrets")
		text, err := os.ReadFile(filepath.Join("../../helm/settings", service+".json"))
		if !isService || os.IsNotExist(err) {
			continue
		}
		var settings map[string]struct{ WriteOnly bool }
		if err := json.Unmarshal(text, &settings); err != nil {
			t.Fatal(err)
		}
		for _, key := range append(s.optional, s.keys...) {
			if _, known := settings[key]; !known {
				t.Errorf("%s has the key %s, which is no setting of %s", name, key, service)
			}
		}
		for key, setting := range settings {
			file := strings.HasPrefix(key, "JWT_") // in a separate Secret
			if setting.WriteOnly && !file && !slices.Contains(append(s.optional, s.keys...), key) {
				t.Errorf("%s lacks the key %s", name, key)
			}
		}
	}
}

// The READMEs of the charts name the same keys as the page, for each value.
func TestSecretsInREADMEs(t *testing.T) {
	t.Parallel()
	for name, s := range secrets(t) {
		if !strings.HasSuffix(s.value, "existingSecret") {
			continue
		}
		readme, value := "pizza", s.value
		if _, of, found := strings.Cut(value, ".secrets."); found {
			readme, value = "service", "secrets."+of
		}
		_, row, found := strings.Cut(read(t, "../../helm/"+readme+"/README.md"), "\n| "+value+" |")
		row, _, _ = strings.Cut(row, "\n")
		if !found {
			t.Errorf("the README of %s has no %s", readme, value)
		}
		keys := append(slices.Clone(s.keys), s.optional...)
		for _, key := range keys {
			if !regexp.MustCompile(`\b` + key + `\b`).MatchString(row) {
				t.Errorf("%s in the README of %s does not name the key %s of %s", value, readme, key, name)
			}
		}
		for _, key := range regexp.MustCompile(`\b[A-Z]+_[A-Z_]+\b`).FindAllString(row, -1) {
			if !slices.Contains(keys, key) {
				t.Errorf("%s in the README of %s names %s, which is no key of %s", value, readme, key, name)
			}
		}
	}
}

// Each Secret in the table has one command on the page of the installation, with the required keys.
func TestSecretsCommands(t *testing.T) {
	t.Parallel()
	commands := map[string][]string{}
	text := strings.ReplaceAll(read(t, filepath.Join(root, pageFile)), "\\\n", "")
	for line := range strings.Lines(text) {
		m := regexp.MustCompile(`^kubectl -n pizza-prod create secret (generic|tls) (\S+)`).FindStringSubmatch(line)
		if m == nil {
			continue
		}
		var keys []string
		for _, key := range regexp.MustCompile(`--from-literal=([^=]+)=`).FindAllStringSubmatch(line, -1) {
			keys = append(keys, key[1])
		}
		if m[1] == "tls" {
			keys = []string{"tls.crt", "tls.key"}
		}
		if commands[m[2]] != nil {
			t.Errorf("%s has two commands", m[2])
		}
		commands[m[2]] = slices.Sorted(slices.Values(keys))
	}
	want := map[string][]string{}
	for name, s := range secrets(t) {
		want[name] = s.keys
	}
	if diff := cmp.Diff(want, commands); diff != "" {
		t.Errorf("(- table, + commands)\n%s", diff)
	}
}

// With the values on the page, the operator creates all of them, under the names in prod.
func TestSecretsFromStore(t *testing.T) {
	t.Parallel()
	_, text, _ := strings.Cut(read(t, secretsPage), "```yaml\n")
	text, _, _ = strings.Cut(text, "```")
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var made, want []string
	for _, o := range render(t, packaged(t), "--values", "../environments/prod/values.yaml", "--values", file) {
		if o["kind"] == "ExternalSecret" {
			made = append(made, inside(o, "spec", "target", "name").(string))
		}
	}
	for name := range secrets(t) {
		if name != "pizza-tls" { // created by cert-manager
			want = append(want, name)
		}
	}
	slices.Sort(made)
	slices.Sort(want)
	if diff := cmp.Diff(want, made); diff != "" {
		t.Errorf("(- table, + rendered)\n%s", diff)
	}
}
