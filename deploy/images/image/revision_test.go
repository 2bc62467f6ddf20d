package image_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"example.com/pizza/deploy/images/image"
)

// repository is a git repository with a commit that touches login alone, after
// one that touches everything.
func repository(t *testing.T) (root string, git func(args ...string) string) {
	t.Helper()
	root = t.TempDir()
	git = func(args ...string) string {
		cmd := exec.Command("git", append([]string{"-c", "user.name=x", "-c", "user.email=x@example.com"}, args...)...)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q", "-b", "feature/new_oven")
	for _, name := range []string{"go.work", "pkg/a", "services/login/a", "services/menu/a"} {
		write(t, root, name, "1")
	}
	git("add", ".")
	git("commit", "-q", "-m", "everything")
	write(t, root, "services/login/a", "2")
	git("commit", "-q", "-a", "-m", "login")
	return root, git
}

func write(t *testing.T, root, name, content string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A commit changes the images that it touches, and no others.
func TestRevisionOf(t *testing.T) {
	t.Parallel()
	root, git := repository(t)
	last, first := git("rev-parse", "HEAD"), git("rev-parse", "HEAD~")
	for _, step := range []struct {
		name        string
		change      func()
		login, menu string
	}{
		{"commit", func() {}, last, first},
		{"change_of_menu", func() { write(t, root, "services/menu/a", "3") }, last, first + "-dirty"},
		{"change_of_what_all_share", func() { write(t, root, "pkg/b", "3") }, last + "-dirty", first + "-dirty"},
	} {
		step.change()
		for _, s := range image.Specs()[:2] {
			want := map[string]string{"login": step.login, "menu": step.menu}[s.Name]
			got, err := image.RevisionOf(t.Context(), root, s)
			if err != nil || got.Commit != want || got.Time.IsZero() {
				t.Errorf("%s: %s is of %+v, want %s, %v", step.name, s.Name, got, want, err)
			}
			if v := got.Version(); len(v) > 14 || strings.HasSuffix(want, "-dirty") != strings.HasSuffix(v, "-dirty") {
				t.Errorf("%s: version %s", step.name, v)
			}
		}
	}
	if r, err := image.RevisionOf(t.Context(), root, image.Spec{Name: "x", Sources: []string{"nothing"}}); err != nil || r.Commit != first {
		t.Errorf("of shared files alone: %+v, %v", r, err)
	}
}

func TestTag(t *testing.T) {
	t.Parallel()
	root, git := repository(t)
	short := git("rev-parse", "--short=8", "HEAD")
	for _, step := range []struct {
		name   string
		change func()
		want   string
	}{
		{"branch", func() {}, "feature-new_oven-" + short},
		{"of_no_branch", func() { git("checkout", "-q", "--detach") }, short},
		{"changed", func() { write(t, root, "new", "") }, short + "-dirty"},
	} {
		step.change()
		if got, err := image.Tag(t.Context(), root); err != nil || got != step.want {
			t.Errorf("%s: %q, want %q, %v", step.name, got, step.want, err)
		}
	}
}
