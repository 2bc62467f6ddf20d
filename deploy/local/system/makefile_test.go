package system

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// outside are the variables that users and workflows set.
var outside = []string{
	"BASE", "BREAKING", "CHAOS", "CLUSTER", "DATA", "DB_HOST", "DOMAIN", "ENV",
	"FUZZTIME", "GITHUB_OUTPUT", "IMAGES", "JSON", "OFF", "ORG", "PACKAGES",
	"PORT", "PULL", "REGISTRY", "REVISION", "SERVICE", "STAGED", "STEPS", "TAG", "TO", "VULN",
}

// TestMakefileQuotes checks that the path of the repository may contain a space.
// It also checks that make never expands a user's value, because make would run
// a $(shell) in it.
func TestMakefileQuotes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root(t), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	expanded := regexp.MustCompile(`(?:^|[^$])\$[({](?:[a-z]+ )?\$?[({]?(` + strings.Join(outside, "|") + `)\b`)
	for i, line := range strings.Split(string(text), "\n") {
		for _, at := range regexp.MustCompile(`\$\(CURDIR\)`).FindAllStringIndex(line, -1) {
			if strings.Count(line[:at[0]], `"`)%2 == 0 {
				t.Errorf("Makefile:%d: the path of the repository is not quoted: %s", i+1, line)
			}
		}
		if expanded.MatchString(line) {
			t.Errorf("Makefile:%d: make expands a value of a user: %s", i+1, line)
		}
	}
	for _, target := range []string{"help", "promote", "rollback", "images", "contracts", "check", "pre-commit", "adopt"} {
		mark := filepath.Join(t.TempDir(), "ran")
		command := exec.CommandContext(t.Context(), "make", "-n", target)
		command.Dir = root(t)
		command.Env = os.Environ()
		for _, name := range outside {
			command.Env = append(command.Env, name+"=$(shell touch "+mark+")`touch "+mark+"`;touch "+mark)
		}
		out, err := command.CombinedOutput()
		if err != nil {
			t.Errorf("make -n %s: %v\n%s", target, err, out)
		}
		if _, err := os.Stat(mark); err == nil {
			t.Errorf("make %s runs a value of a user", target)
		}
	}
}

// TestMakeHelp checks that the list of targets fits a terminal and is short.
func TestMakeHelp(t *testing.T) {
	t.Parallel()
	command := exec.CommandContext(t.Context(), "make", "--no-print-directory", "help")
	command.Dir = root(t)
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	targets := 0
	for line := range strings.Lines(string(out)) {
		if len(line) > 80 {
			t.Errorf("%d columns: %s", len(line), line)
		}
		if strings.HasPrefix(line, "  ") {
			targets++
		}
	}
	if targets < 15 || targets > 20 {
		t.Errorf("%d targets", targets)
	}
}

// TestMakeRunsTests checks that every pattern of go test finds a test in each of its
// packages, because go test passes where there is none.
func TestMakeRunsTests(t *testing.T) {
	t.Parallel()
	command := exec.CommandContext(t.Context(), "make", "--no-print-directory", "-n", "test")
	command.Dir = root(t)
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	scripts := string(out)
	files, err := filepath.Glob(filepath.Join(root(t), "tools", "*.sh"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		scripts += string(text)
	}
	runs := 0
	call := regexp.MustCompile(`go test [^\n]*?-(?:run|skip) '([^']+)'((?:[ \t]+\./\S+)+)`)
	for _, m := range call.FindAllStringSubmatch(strings.ReplaceAll(scripts, "\\\n", " "), -1) {
		pattern := m[1]
		if pattern == "^$" { // benchmarks and fuzzing
			continue
		}
		runs++
		found := ""
		for name := range strings.FieldsSeq(m[2]) {
			names := testsIn(t, filepath.Join(root(t), name))
			if !regexp.MustCompile("(?m)"+pattern).MatchString(names) && !strings.Contains(m[0], "-skip") {
				t.Errorf("-run %s finds no test in %s", pattern, name)
			}
			found += names
		}
		alternatives := []string{pattern}
		if head, rest, hasMany := strings.Cut(pattern, "("); hasMany {
			list, tail, _ := strings.Cut(rest, ")")
			alternatives = strings.Split(list, "|")
			for i := range alternatives {
				alternatives[i] = head + alternatives[i] + tail
			}
		}
		for _, one := range alternatives {
			if !regexp.MustCompile("(?m)" + one).MatchString(found) {
				t.Errorf("%s finds no test in %s", one, m[2])
			}
		}
	}
	if runs < 8 {
		t.Errorf("%d patterns", runs)
	}
}

// testsIn returns the names of the tests in a folder, or below it for dir/..., by line.
func testsIn(t *testing.T, dir string) (names string) {
	t.Helper()
	pattern := filepath.Join(dir, "*_test.go")
	if below, hasBelow := strings.CutSuffix(dir, "/..."); hasBelow {
		for _, depth := range []string{"", "*", "*/*"} {
			names += testsIn(t, filepath.Join(below, depth))
		}
		return names
	}
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(text), -1) {
			names += m[1] + "\n"
		}
	}
	return names
}
