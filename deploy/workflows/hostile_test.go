package workflows

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// outside matches expressions with untrusted values, chosen by people who run a workflow,
// send a webhook, push a tag or open a pull request, and values that jobs derive from them.
var outside = regexp.MustCompile(`\b(inputs|matrix)\.|\bgithub\.(event\.|head_ref|base_ref|ref_name|ref\b)|\b(needs|steps)\.[\w-]+\.outputs\.`)

// constant matches an expression with one of two literal values.
var constant = regexp.MustCompile(`^\$\{\{ contains\([^()]*\) && '\w*' \|\| '\w*' \}\}$`)

// GitHub substitutes expressions in a script before a shell parses it.
func TestNoExpressionInAScript(t *testing.T) {
	t.Parallel()
	all := read(t, "workflows/*.yml")
	maps.Copy(all, read(t, "actions/*/action.yml"))
	for path, w := range all {
		for name, j := range w.Jobs {
			for _, s := range slices.Concat(j.Steps, w.Runs.Steps) {
				script, _ := s.With["script"].(string) // of actions/github-script and similar actions
				for _, text := range []string{s.Run, script, s.Shell, s.Folder} {
					if strings.Contains(text, "${{") {
						t.Errorf("%s, %s: %q has an expression: pass it by env", path, name, text)
					}
				}
			}
		}
	}
}

// given lists the steps with untrusted input: the variables that contain it, with an
// example of each. New steps are also tested with hostile values.
func given() map[string]map[string]string {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	return map[string]map[string]string{
		"ci.yml changed: tools/delivery.sh code":            {"BASE": commit},
		"release.yml push: tools/delivery.sh push":          {"IMAGES": "login"},
		"release.yml charts: tools/delivery.sh push-charts": {"TAG": "v1.2.3"},
		"release.yml announce: tools/announce.sh":           {"TAG": "v1.2.3"},
		"promote.yml propose: tools/propose.sh promote":     {"TO": "stg", "SERVICE": "order"},
		"rollback.yml propose: tools/propose.sh rollback":   {"ENV": "prod", "TO": commit[:8], "SERVICE": "order"},
		"verify.yml attest: tools/delivery.sh attest":       {"ENV": "dev", "SERVICE": "order", "REVISION": commit},
	}
}

// hostile lists values that do harm if a shell, make, git or a path interprets them.
// MARK is a file that must not be created.
func hostile() map[string]string {
	return map[string]string{
		"substitution": "$(touch MARK)", "backticks": "`touch MARK`", "second command": "order; touch MARK", "and": "dev && touch MARK",
		"pipe": "dev | tee MARK", "redirection": "dev > MARK", "make": "$(shell touch MARK)", "expression": "${{ github.token }}",
		"second line": "order\ntouch MARK", "last line": "order\n", "workflow command": "order\n::add-mask::x", "carriage return": "order\r",
		"option": "--output=MARK", "short option": "-h", "path": "../..", "absolute path": "/etc/passwd", "path behind": "order/../../x",
		"pattern": "*", "quotes": `order" 'dev`, "space": "order ; ls", "blank": " ", "upload": "ext::sh -c touch% MARK",
		"unicode": "ordér", "look-alike": "οrder", "direction": "order\u202e", "invisible": "order\u200b", "not UTF-8": "order\xff",
		"very long": strings.Repeat("a", 100_000), "variable": "$HOME", "escape": "order\x1b[2J", "range": "HEAD..main", "case": "Order",
	}
}

// harmless lists hostile values that are valid for a variable: letters that can be the
// name of a branch.
func harmless(variable, value string) bool {
	return variable == "BASE" && value == "Order"
}

// TestHostileInputs runs the script of each step with untrusted input, with one hostile
// variable at a time. The script must reject it, with name, rule and value, before it runs
// anything.
func TestHostileInputs(t *testing.T) {
	t.Parallel()
	want := given()
	for path, w := range read(t, "workflows/*.yml") {
		for name, j := range w.Jobs {
			for _, s := range j.Steps {
				if s.Run == "" {
					continue
				}
				env := maps.Clone(w.Env)
				if env == nil {
					env = map[string]string{}
				}
				maps.Copy(env, j.Env)
				maps.Copy(env, s.Env)
				var names []string
				for variable, value := range env {
					if outside.MatchString(value) && !constant.MatchString(value) {
						names = append(names, variable)
					}
				}
				if len(names) == 0 {
					continue
				}
				step := filepath.Base(path) + " " + name + ": " + s.Run
				examples := want[step]
				delete(want, step)
				slices.Sort(names)
				if known := slices.Sorted(maps.Keys(examples)); !slices.Equal(known, names) {
					t.Errorf("%s gets %v from outside, known are %v", step, names, known)
					continue
				}
				t.Run(step, func(t *testing.T) {
					t.Parallel()
					refuses(t, s.Run, env, examples)
				})
			}
		}
	}
	for step := range want {
		t.Errorf("there is no step %s with a text from outside", step)
	}
}

// refuses runs a script with valid values, and with each of them replaced by hostile ones.
func refuses(t *testing.T, script string, env, examples map[string]string) {
	t.Helper()
	folder := clone(t)
	mark, ran := filepath.Join(folder, "mark"), filepath.Join(folder, ".local", "ran")
	programs := t.TempDir()
	for _, program := range []string{"go", "gh", "docker", "kubectl", "helm", "curl"} {
		write(t, filepath.Join(programs, program), "#!/bin/sh\necho "+program+" >> '"+ran+"'\n", 0o700)
	}
	for _, tool := range []string{"cosign", "grype", "helm", "ko"} {
		write(t, filepath.Join(folder, ".local", "bin", tool), "#!/bin/sh\nmkdir -p .local\necho "+tool+" >> '"+ran+"'\n", 0o700)
	}
	try := func(hostile, value string) (string, error) {
		if err := os.RemoveAll(ran); err != nil {
			t.Fatal(err)
		}
		variables := []string{"PATH=" + programs + ":" + os.Getenv("PATH"), "MAKELEVEL="}
		for name, text := range env {
			switch {
			case name == hostile:
				text = value
			case examples[name] != "":
				text = examples[name]
			case strings.Contains(text, "${{"):
				text = "" // a secret
			}
			variables = append(variables, name+"="+text)
		}
		return run(t, folder, variables, "bash", "-e", "-c", script) // as GitHub does
	}
	happened := func() string {
		text, _ := os.ReadFile(ran)
		if _, err := os.Stat(mark); err == nil {
			text = append(text, "the text"...)
		}
		return string(text) + git(t, folder, "status", "--porcelain") + git(t, folder, "for-each-ref", "--format=%(refname)", "refs/heads")
	}
	// With valid values the script succeeds, so that a rejection is due to the value.
	if out, err := try("", ""); happened() == "refs/heads/main" && (err != nil || out != "code=true") {
		t.Fatalf("nothing runs with good values %v: %s", examples, out)
	}
	for variable := range examples {
		for what, value := range hostile() {
			if harmless(variable, value) {
				continue
			}
			value = strings.ReplaceAll(value, "MARK", mark)
			out, err := try(variable, value)
			shown := regexp.MustCompile(`[^ -~]`).ReplaceAllString(strings.ToValidUTF8(value, "?"), "?")
			message := regexp.MustCompile(`(?m)^\w+(-\w+)*: ` + variable + ` must be [^\n]+, not "([^\n]*)"$`).FindStringSubmatch(out)
			if err == nil || message == nil || strings.Count(out, "\n") > 0 {
				t.Errorf("%s, %s: %v, %.300q does not name variable, rule and value on one line", variable, what, err, out)
			} else if said := strings.ReplaceAll(message[2], "?", ""); said == "" || !strings.HasPrefix(strings.ReplaceAll(shown, "?", ""), said) {
				t.Errorf("%s, %s: %.300q does not tell the value", variable, what, out)
			}
			if did := happened(); did != "refs/heads/main" {
				t.Errorf("%s, %s: this happened: %s", variable, what, did)
			}
		}
	}
}

// clone is a repository with the files that the scripts need, next to its origin.
func clone(t *testing.T) string {
	t.Helper()
	folder, origin := t.TempDir(), t.TempDir()
	git(t, origin, "init", "-q", "--bare", "-b", "main")
	git(t, folder, "init", "-q", "-b", "main")
	git(t, folder, "remote", "add", "origin", origin)
	for _, part := range []string{"Makefile", "tools", "deploy/environments", "helm/pizza/Chart.yaml"} {
		files := strings.Fields(git(t, root, "ls-files", "--cached", "--others", "--exclude-standard", "--", part))
		for _, file := range files {
			text, err := os.ReadFile(filepath.Join(root, file))
			if err != nil {
				t.Fatal(err)
			}
			mode := os.FileMode(0o600)
			if strings.HasSuffix(file, ".sh") {
				mode = 0o700
			}
			write(t, filepath.Join(folder, file), string(text), mode)
		}
	}
	write(t, filepath.Join(folder, ".gitignore"), "/.local/\n", 0o600)
	git(t, folder, "add", ".")
	git(t, folder, "-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-q", "-m", "first")
	git(t, folder, "tag", "v1.2.3")
	return folder
}
