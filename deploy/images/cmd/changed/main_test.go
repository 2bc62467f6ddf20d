package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/deploy/images/image"
)

const root = "../../../.."

// Nothing has changed since HEAD, and all since a commit that is not there, as the
// one before the first push of a branch.
func TestRun(t *testing.T) {
	t.Parallel()
	none, all := "images=\nmatrix=[]\ncode=true\n", "images=login menu order migrate\nmatrix=[\"login\",\"menu\",\"order\",\"migrate\"]\ncode=true\n"
	for base, want := range map[string]string{"HEAD": none, strings.Repeat("0", 40): all} {
		path := filepath.Join(t.TempDir(), "output")
		var out bytes.Buffer
		if err := run(t.Context(), []string{"-root", root, "-json", "-github", path, base}, &out, io.Discard); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("since %s: %q, want %q, %v", base, got, want, err)
		}
		var answers []answer
		if err := json.Unmarshal(out.Bytes(), &answers); err != nil || len(answers) != 4 || answers[3].Name != "migrate" || answers[3].Changed != (want == all) {
			t.Errorf("since %s: %+v, %v", base, answers, err)
		}
	}
	if err := run(t.Context(), []string{"-root", root, "-environment", "nowhere"}, io.Discard, io.Discard); err == nil {
		t.Error("compares with an environment that is not there")
	}
}

// What but moves images between environments is not code; all else is.
func TestTouchesMore(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	git := func(args ...string) {
		cmd := exec.Command("git", append([]string{"-c", "user.name=x", "-c", "user.email=x@example.com"}, args...)...)
		cmd.Dir = folder
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	git("init", "-q", "-b", "main")
	git("commit", "-q", "--allow-empty", "-m", "first")
	git("tag", "base")
	for _, step := range []struct {
		file string
		want bool
	}{
		{"", true},
		{"deploy/environments/stg/images.yaml", false},
		{"deploy/environments/prod/images.yaml", false},
		{"deploy/environments/prod/values.yaml", true},
	} {
		if step.file != "" {
			path := filepath.Join(folder, step.file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			git("add", ".")
			git("commit", "-q", "-m", step.file)
		}
		if got, err := touchesMore(t.Context(), folder, "base"); got != step.want || err != nil {
			t.Errorf("after %s: %t, want %t, %v", step.file, got, step.want, err)
		}
	}
	for _, base := range []string{"", "nowhere"} {
		if got, err := touchesMore(t.Context(), folder, base); !got || err != nil {
			t.Errorf("since %q: %t, %v", base, got, err)
		}
	}
}

// An image is new to an environment if its version is not the tag that runs there.
func TestNotRunning(t *testing.T) {
	t.Parallel()
	tags, err := running(filepath.Join(root, "deploy/environments/dev/images.yaml"))
	if err != nil || len(tags) != len(image.Specs()) {
		t.Fatalf("dev runs %q, %v", tags, err)
	}
	for _, s := range image.Specs() {
		if tags[s.Name] == "" {
			t.Errorf("dev runs no %s: %q", s.Name, tags)
		}
		r, err := image.RevisionOf(t.Context(), root, s)
		if err != nil {
			t.Fatal(err)
		}
		for tag, changed := range map[string]bool{r.Version(): false, "01234567": true} {
			got, err := notRunning(root, "dev", map[string]string{s.Name: tag})(t.Context(), s)
			if err != nil || (len(got) > 0) != changed {
				t.Errorf("%s where dev runs %s: %q, %v", r.Version(), tag, got, err)
			}
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := table(&out, []answer{{"login", true, []string{"go.work", "pkg/a.go", "pkg/b.go"}}, {"menu", true, []string{"go.work"}}, {Name: "order"}})
	want := "IMAGE  CHANGED  BECAUSE OF\nlogin  yes      go.work and 2 more\nmenu   yes      go.work\norder  no       \n"
	if diff := cmp.Diff(want, out.String()); diff != "" || err != nil {
		t.Error(diff, err)
	}
}
