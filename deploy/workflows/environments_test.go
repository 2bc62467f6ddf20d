package workflows

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"example.com/pizza/deploy/delivery"
)

// incomplete returns what an environment of a repository lacks, as file and reason. A
// folder below deploy/environments is an environment.
func incomplete(t *testing.T, repository string) (lacks []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(repository, "deploy/environments"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		if entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	lack := func(file, format string, args ...any) {
		lacks = append(lacks, file+": "+fmt.Sprintf(format, args...))
	}
	order, err := delivery.Repository{Root: repository}.Environments()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !slices.Contains(order, name) {
			lack(delivery.Order, "%s is missing", name)
		}
	}
	for _, name := range order {
		if !slices.Contains(names, name) {
			lack("deploy/environments/"+name, "the folder is missing")
		}
	}
	owners := map[string]string{} // of addresses that no two environments share
	for _, name := range names {
		file := "deploy/environments/" + name + "/values.yaml"
		var values settings
		load(t, filepath.Join(repository, file), &values)
		if values.Global.Environment != name {
			lack(file, "global.environment is %q, must be %q", values.Global.Environment, name)
		}
		for _, address := range append(values.Ingress.Hosts, values.Global.PostgreSQL.Host) {
			if owner := owners[address]; owner != "" {
				lack(file, "%s is an address of %s", address, owner)
			}
			owners[address] = cmp.Or(owners[address], name)
		}
		text, err := os.ReadFile(filepath.Join(repository, delivery.Path(name)))
		if err == nil {
			_, err = delivery.Parse(name, text)
		}
		if err != nil {
			lack(delivery.Path(name), "%v", err)
		}
	}
	return append(lacks, lists(t, repository, names)...)
}

// settings are the values of an environment that no other has.
type settings struct {
	Global struct {
		Environment string
		PostgreSQL  struct{ Host string }
	}
	Ingress struct{ Hosts []string }
}

func load(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// lists finds lines of scripts, workflows and manifests that list some environments but
// not all. Such a list should come from deploy/environments. Comments may have examples.
func lists(t *testing.T, repository string, names []string) (lacks []string) {
	t.Helper()
	files := git(t, repository, "ls-files", "--", ".github/*.yml", "Makefile", "tools/*.sh",
		"deploy/*.sh", "deploy/*.yaml", "helm/*.yaml", "helm/*.tpl", ":(exclude)helm/*/ci", ":(exclude)helm/*/tests")
	word := regexp.MustCompile(`\b(` + strings.Join(names, "|") + `)\b`)
	for file := range strings.SplitSeq(files, "\n") {
		text, err := os.ReadFile(filepath.Join(repository, file))
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(string(text), "\n") {
			code, _, _ := strings.Cut(" "+line, " #")
			found := map[string]bool{}
			for _, name := range word.FindAllString(code, -1) {
				found[name] = true
			}
			if len(found) > 1 && len(found) < len(names) {
				lacks = append(lacks, fmt.Sprintf("%s:%d: lists %s, must list %s",
					file, n+1, strings.Join(slices.Sorted(maps.Keys(found)), ", "), strings.Join(names, ", ")))
			}
		}
	}
	return lacks
}

// Every environment is complete: nothing that must know it has been forgotten.
func TestEnvironments(t *testing.T) {
	t.Parallel()
	for _, lack := range incomplete(t, root) {
		t.Error(lack)
	}
}

// A new environment is a copy of a folder, and what TestEnvironments then names: one other
// file. Everything else follows from the two (deploy/README.md, "A new environment").
func TestNewEnvironment(t *testing.T) {
	t.Parallel()
	folder := fork(t)
	qa := filepath.Join(folder, "deploy/environments/qa")
	if err := os.CopyFS(qa, os.DirFS(filepath.Join(folder, "deploy/environments/stg"))); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "tools/forgotten.sh"), "for environment in dev stg prod; do # not qa\n", 0o700)
	git(t, folder, "add", "--all")
	var stg settings
	load(t, filepath.Join(qa, "values.yaml"), &stg)
	const values = "deploy/environments/qa/values.yaml: "
	want := []string{
		delivery.Order + ": qa is missing",
		values + `global.environment is "stg", must be "qa"`,
		"deploy/environments/stg/values.yaml: " + stg.Ingress.Hosts[0] + " is an address of qa",
		"deploy/environments/stg/values.yaml: " + stg.Global.PostgreSQL.Host + " is an address of qa",
		"tools/forgotten.sh:1: lists dev, prod, stg, must list dev, prod, qa, stg",
	}
	if d := diff.Diff(want, incomplete(t, folder)); d != "" {
		t.Errorf("a copy is complete, or lacks more\n%s", d)
	}

	git(t, folder, "rm", "-qf", "tools/forgotten.sh")
	for file, replace := range map[string][2]string{
		"deploy/environments/qa/values.yaml": {"stg", "qa"},
		delivery.Order: {
			"  - {name: prod", "  - {name: qa, cluster: {name: test}, automated: true}\n  - {name: prod",
		},
	} {
		text, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, file), strings.ReplaceAll(string(text), replace[0], replace[1]), 0o600)
	}
	commit(t, folder, "A new environment")
	if lacks := incomplete(t, folder); len(lacks) > 0 {
		t.Errorf("qa lacks %q", lacks)
	}
	const promote, helm = "go run ./deploy/delivery/cmd/delivery promote ", ".local/bin/helm template pizza deploy/argocd "
	// The projects, the role of the workflow verify and the notifications include qa.
	const follow = "^Test(OnCall.*|Verification.*|Notifications|Namespaces|Credentials)$"
	for command, want := range map[string]string{
		"ENV=pre tools/delivery.sh attest":                  `attest: ENV must be dev, stg, qa or prod, not "pre"`,
		"TO=pre tools/delivery.sh promote":                  `promote: TO must be stg, qa or prod, not "pre"`,
		promote + "-to qa":                                  "nothing to change",
		promote + "-to dev":                                 `TO: unknown environment "dev" (stg, qa, prod)`,
		helm + "--values " + delivery.Order:                 "name: pizza-qa\n",
		"go test -count=1 -run " + follow + " ./deploy/e2e": "ok",
	} {
		words := strings.Fields(command)
		variables := []string{"SERVICE=order"}
		for len(words) > 1 && strings.Contains(words[0], "=") {
			variables, words = append(variables, words[0]), words[1:]
		}
		if out, err := run(t, folder, variables, words[0], words[1:]...); !strings.Contains(out, want) {
			t.Errorf("%s: %v, %.2000s, want %q", command, err, out, want)
		}
	}
}

// History tells of each line the commit that set it, and with ALL=1 the lines before. A
// release tells the commits since the one before.
func TestHistory(t *testing.T) {
	t.Parallel()
	folder := clone(t)
	images := filepath.Join(folder, "deploy/environments/dev/images.yaml")
	text, err := os.ReadFile(images)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), `order: {image: {tag: "`, `order: {image: {tag: "new-`, 1)
	write(t, images, changed, 0o600)
	commit(t, folder, "dev: order of release")
	write(t, filepath.Join(folder, "README.md"), "x", 0o600)
	commit(t, folder, "Say more")
	set := git(t, folder, "rev-parse", "--short=8", "HEAD~1")
	now, err := run(t, folder, []string{"ENV=dev", "ALL="}, "tools/delivery.sh", "history")
	if lines := strings.Split(now, "\n"); err != nil || len(lines) != 6 || lines[0] != "dev:" ||
		!strings.HasPrefix(lines[3], set+" (x ") || !strings.Contains(lines[3], ` order: {image: {tag: "new-`) {
		t.Errorf("%v, %s", err, now)
	}
	all, err := run(t, folder, []string{"ENV=dev", "ALL=1"}, "tools/delivery.sh", "history")
	if lines := strings.Split(all, "\n"); err != nil || len(lines) < 10 ||
		!strings.Contains(lines[2], " x: dev: order of release") ||
		!strings.HasPrefix(lines[4], `-order: {image: {tag: "`) ||
		!strings.HasPrefix(lines[5], `+order: {image: {tag: "new-`) {
		t.Errorf("%v, %s", err, all)
	}

	git(t, folder, "tag", "v1.2.4")
	programs := t.TempDir()
	write(t, filepath.Join(programs, "gh"), "#!/bin/sh\ncat .local/notes.md\n", 0o700)
	variables := []string{"PATH=" + programs + ":" + os.Getenv("PATH"), "TAG=v1.2.4"}
	want := "- Say more (" + git(t, folder, "rev-parse", "--short", "HEAD") + ")\n- dev: order of release (" +
		git(t, folder, "rev-parse", "--short", "HEAD~1") + ")"
	if notes, err := run(t, folder, variables, "tools/announce.sh"); err != nil || notes != want {
		t.Errorf("%v, %s, want %s", err, notes, want)
	}
}
