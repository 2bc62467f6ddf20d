package system

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestHooks commits to a repository where make hooks was run. A change that make
// pre-commit rejects is not committed.
func TestHooks(t *testing.T) {
	t.Parallel()
	format := "package kit\n\nimport \"fmt\"\n\n// Say says it.\nfunc Say() { fmt.Printf(\"%d\\n\", WHAT) }\n"
	for name, c := range map[string]struct {
		file, staged string
		afterwards   string // unstaged content of the working tree; empty means as staged
		refused      string // the reason; "" if committed
	}{
		"text":                {file: "notes.txt", staged: "=======\nTitle\n=======\n"},
		"conflict_marker":     {file: "notes.md", staged: "a\n" + strings.Repeat("<", 7) + " HEAD\nb\n", refused: "conflict markers"},
		"secret":              {file: "notes.md", staged: "key: AKIA" + strings.Repeat("Q", 16) + "\n", refused: "secrets"},
		"private_key":         {file: "cosign.key", staged: "x\n", refused: "no repository"},
		"large_file":          {file: "data.bin", staged: strings.Repeat("x", 600<<10), refused: "larger than"},
		"unformatted":         {file: "pkg/kit.go", staged: "package kit\nfunc  F() {}\n", refused: "not formatted"},
		"formatted_too_late":  {file: "pkg/kit.go", staged: "package kit\nfunc  F() {}\n", afterwards: "package kit\n\nfunc F() {}\n", refused: "not formatted"},
		"unformatted_since":   {file: "notes.go.txt", staged: "text\n", afterwards: strings.Repeat(">", 7) + " theirs\n"},
		"no_go":               {file: "pkg/kit.go", staged: "package kit\n\nfunc {\n", refused: "not formatted"},
		"what_vet_finds":      {file: "pkg/kit.go", staged: strings.ReplaceAll(format, "WHAT", `"text"`), refused: "Printf format %d has arg"},
		"tool_without_code":   {file: "tools/go.mod", staged: "module x\n\ngo 1.26.0\n"},
		"spaces_in_its_name":  {file: "some notes.md", staged: strings.Repeat(">", 7) + " theirs\n", refused: "some notes.md:1"},
		"letters_in_its_name": {file: "메뉴.md", staged: strings.Repeat(">", 7) + " theirs\n", refused: "메뉴.md:1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			r.must("make", "hooks")
			r.write(c.file, c.staged)
			r.must("git", "add", "-A")
			if c.afterwards != "" {
				r.write(c.file, c.afterwards)
			}
			head := r.must("git", "rev-parse", "HEAD")
			out, err := r.run("git", "commit", "-m", "x")
			if refused := err != nil; refused != (c.refused != "") || !strings.Contains(out, c.refused) {
				t.Errorf("refused: %t, want %q:\n%s", refused, c.refused, out)
			}
			if now := r.must("git", "rev-parse", "HEAD"); (now == head) != (c.refused != "") {
				t.Errorf("HEAD was %s, is %s", head, now)
			}
		})
	}

	t.Run("against_a_branch", func(t *testing.T) {
		t.Parallel()
		r := newRepository(t)
		r.must("git", "branch", "base")
		r.write("pkg/kit.go", "package kit\n\n// One is one.\nconst One = 1\n")
		r.must("git", "add", "-A")
		r.must("git", "commit", "-m", "second")
		r.write("notes.md", strings.Repeat("<", 7)+" HEAD\n")
		r.must("git", "add", "-A")
		r.must("git", "commit", "--no-verify", "-m", "third")
		if out := r.must("make", "pre-commit"); !strings.Contains(out, "texts, secrets") {
			t.Errorf("does not say what it checked:\n%s", out)
		}
		if out, err := r.run("make", "pre-commit", "BASE=base"); err == nil || !strings.Contains(out, "notes.md:1") {
			t.Errorf("a committed conflict marker is let through: %v\n%s", err, out)
		}
		if out, err := r.run("make", "pre-commit", "BASE=nowhere"); err == nil || !strings.Contains(out, `BASE: unknown revision "nowhere"`) {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("by_hand", func(t *testing.T) { // not only staged changes
		t.Parallel()
		r := newRepository(t)
		r.must("make", "pre-commit")
		r.write("notes.md", strings.Repeat("<", 7)+" HEAD\n")
		if out, err := r.run("make", "pre-commit"); err == nil || !strings.Contains(out, "notes.md:1") {
			t.Errorf("a conflict marker is let through: %v\n%s", err, out)
		}
	})
	t.Run("off", func(t *testing.T) {
		t.Parallel()
		r := newRepository(t)
		r.must("make", "hooks")
		r.must("make", "hooks")
		r.must("make", "hooks", "OFF=1")
		r.must("make", "hooks", "OFF=1")
		r.write("notes.md", strings.Repeat("<", 7)+" HEAD\n")
		r.must("git", "add", "-A")
		r.must("git", "commit", "-m", "x")
	})
	t.Run("other_hooks_stay", func(t *testing.T) {
		t.Parallel()
		r := newRepository(t)
		r.must("git", "config", "core.hooksPath", "mine")
		if out, err := r.run("make", "hooks"); err == nil || !strings.Contains(out, "mine") {
			t.Errorf("%v\n%s", err, out)
		}
		r.must("make", "hooks", "OFF=1")
		if got := r.must("git", "config", "core.hooksPath"); got != "mine\n" {
			t.Errorf("hooks are of %s", got)
		}
	})
}

// repository is a small repository with our Makefile and hooks, and a module.
type repository struct {
	t      *testing.T
	folder string
}

func newRepository(t *testing.T) repository {
	t.Helper()
	r := repository{t, t.TempDir()}
	for _, file := range []string{"Makefile", "tools/precommit.sh", "tools/inputs.sh", "tools/hooks.sh", "tools/hooks/pre-commit"} {
		text, err := os.ReadFile(filepath.Join(root(t), file))
		if err != nil {
			t.Fatal(err)
		}
		r.write(file, string(text))
	}
	r.write("pkg/go.mod", "module example.com/scratch/pkg\n\ngo 1.26.0\n")
	r.must("git", "init", "-q")
	r.must("git", "add", "-A")
	r.must("git", "commit", "-q", "-m", "first")
	return r
}

func (r repository) write(file, text string) {
	r.t.Helper()
	path := filepath.Join(r.folder, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil { // some are scripts
		r.t.Fatal(err)
	}
}

// run runs a command without the environment variables in which git and make
// describe another repository.
func (r repository) run(name string, args ...string) (string, error) {
	cmd := exec.CommandContext(r.t.Context(), name, args...)
	cmd.Dir = r.folder
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GIT_") && !strings.HasPrefix(v, "MAKE") && !strings.HasPrefix(v, "MFLAGS") && !strings.HasPrefix(v, "GOWORK=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=ada", "GIT_COMMITTER_EMAIL=ada@example.com")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (r repository) must(name string, args ...string) string {
	r.t.Helper()
	out, err := r.run(name, args...)
	if err != nil {
		r.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}
