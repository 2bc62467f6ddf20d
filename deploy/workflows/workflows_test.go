package workflows

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const root = "../.."

// workflow is the checked part of a workflow. A composite action has its steps in runs.
type workflow struct {
	On          map[string]any    `json:"on"`
	Permissions any               `json:"permissions"`
	Concurrency any               `json:"concurrency"`
	Env         map[string]string `json:"env"`
	Jobs        map[string]job    `json:"jobs"`
	Runs        job               `json:"runs"`
}

type job struct {
	Uses        string            `json:"uses"`
	Permissions map[string]string `json:"permissions"`
	Timeout     int               `json:"timeout-minutes"`
	Env         map[string]string `json:"env"`
	Steps       []step            `json:"steps"`
}

type step struct {
	Uses   string            `json:"uses"`
	Run    string            `json:"run"`
	Shell  string            `json:"shell"`
	Folder string            `json:"working-directory"`
	Env    map[string]string `json:"env"`
	With   map[string]any    `json:"with"`
}

// read returns the workflows, or the actions, whose files match a pattern below .github.
func read(t *testing.T, pattern string) map[string]workflow {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, ".github", pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	all := map[string]workflow{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// YAML parses the word on as true.
		content = regexp.MustCompile(`(?m)^on:`).ReplaceAll(content, []byte(`"on":`))
		var w workflow
		if err := yaml.Unmarshal(content, &w); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all[path] = w
	}
	return all
}

// A workflow as a whole has no permissions. Each job declares its permissions and timeout.
func TestLeastRights(t *testing.T) {
	t.Parallel()
	for path, w := range read(t, "workflows/*.yml") {
		if rights, ok := w.Permissions.(map[string]any); !ok || len(rights) > 0 {
			t.Errorf("%s: permissions are %v, want {}", path, w.Permissions)
		}
		if w.Concurrency == nil {
			t.Errorf("%s: two runs of it can be in each other's way", path)
		}
		for _, trigger := range []string{"pull_request_target", "workflow_run"} {
			if _, ok := w.On[trigger]; ok {
				t.Errorf("%s: %s runs what strangers wrote with the rights of this repository", path, trigger)
			}
		}
		for name, j := range w.Jobs {
			if len(j.Permissions) == 0 {
				t.Errorf("%s, %s: says no permissions", path, name)
			}
			if j.Uses == "" && (j.Timeout < 1 || j.Timeout > 60) {
				t.Errorf("%s, %s: may take %d minutes", path, name, j.Timeout)
			}
		}
	}
}

// mayWrite lists the jobs with write permissions. A new one is a deliberate decision.
func mayWrite() map[string]string {
	return map[string]string{
		"security.yml codeql":  "security-events",
		"release.yml push":     "attestations id-token packages",
		"release.yml charts":   "id-token packages",
		"release.yml publish":  "contents pull-requests",
		"release.yml announce": "contents",
		"promote.yml propose":  "contents pull-requests",
		"rollback.yml propose": "contents pull-requests",
		"verify.yml attest":    "id-token packages",
	}
}

func TestMayWrite(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	for path, w := range read(t, "workflows/*.yml") {
		for name, j := range w.Jobs {
			var rights []string
			for right, level := range j.Permissions {
				if level != "read" {
					rights = append(rights, right)
				}
			}
			if slices.Sort(rights); len(rights) > 0 {
				got[filepath.Base(path)+" "+name] = strings.Join(rights, " ")
			}
		}
	}
	if want := mayWrite(); !maps.Equal(got, want) {
		t.Errorf("may write %q, want %q", got, want)
	}
}

var (
	pinned  = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40}$`)
	version = regexp.MustCompile(`(?m)uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	command = regexp.MustCompile(`^(make|tools/[a-z-]+\.sh|deploy/kind/kind\.sh)(?: ([a-z][a-z0-9-]*))?$`)
)

// Actions and images are pinned by content, with the version for people, and a checkout
// does not persist its token.
func TestUses(t *testing.T) {
	t.Parallel()
	all := read(t, "workflows/*.yml")
	maps.Copy(all, read(t, "actions/*/action.yml"))
	shas := map[string]string{}
	for path, w := range all {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		uses := 0
		for _, use := range using(w) {
			if local, ok := strings.CutPrefix(use.Uses, "./"); ok {
				if _, err := os.Stat(filepath.Join(root, local)); err != nil {
					t.Errorf("%s: %v", path, err)
				}
				continue
			}
			uses++
			if !pinned.MatchString(use.Uses) {
				t.Errorf("%s: %s is not pinned", path, use.Uses)
				continue
			}
			action, sha, _ := strings.Cut(use.Uses, "@")
			if other, ok := shas[action]; ok && other != sha {
				t.Errorf("%s: %s is in two versions", path, action)
			}
			shas[action] = sha
			if action == "actions/checkout" && use.With["persist-credentials"] != false {
				t.Errorf("%s: a checkout leaves its token behind", path)
			}
		}
		if said := len(version.FindAll(content, -1)); said != uses {
			t.Errorf("%s: %d of %d actions say their version (# v1.2.3)", path, said, uses)
		}
	}
}

// using returns the steps and jobs with uses.
func using(w workflow) []step {
	var all []step
	for _, j := range append(slices.Collect(maps.Values(w.Jobs)), w.Runs) {
		for _, s := range append(j.Steps, step{Uses: j.Uses}) {
			if s.Uses != "" {
				all = append(all, s)
			}
		}
	}
	return all
}

// Every command is a make target or a script that runs anywhere. Values that differ
// between runs are in the environment, where no shell interprets them as commands.
func TestCommandsAreScripts(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	delivery, err := os.ReadFile(filepath.Join(root, "tools/delivery.sh"))
	if err != nil {
		t.Fatal(err)
	}
	all := read(t, "workflows/*.yml")
	maps.Copy(all, read(t, "actions/*/action.yml"))
	for path, w := range all {
		for name, j := range w.Jobs {
			for _, s := range j.Steps {
				if s.Run == "" {
					continue
				}
				m := command.FindStringSubmatch(s.Run)
				if m == nil {
					t.Errorf("%s, %s: %q is not a target or a script with at most one word", path, name, s.Run)
					continue
				}
				program, word := m[1], m[2]
				switch {
				case program == "make":
					if !strings.Contains(string(makefile), "\n.PHONY: "+word+"\n") {
						t.Errorf("%s, %s: the Makefile has no %s", path, name, word)
					}
				case strings.HasSuffix(program, "delivery.sh") || strings.HasSuffix(program, "propose.sh"):
					if !strings.Contains(string(delivery), "\n"+word+")\n") {
						t.Errorf("%s, %s: delivery.sh has no step %s", path, name, word)
					}
				}
				if program == "make" {
					continue
				}
				if _, err := os.Stat(filepath.Join(root, program)); err != nil {
					t.Errorf("%s, %s: %v", path, name, err)
				}
			}
		}
		for _, s := range w.Runs.Steps {
			if s.Run != "" {
				t.Errorf("%s runs %q", path, s.Run)
			}
		}
	}
}
