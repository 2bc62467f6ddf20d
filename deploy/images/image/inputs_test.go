package image_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/deploy/images/image"
	"example.com/pizza/deploy/images/image/imagetest"
)

// repository is a git repository with a workspace in one commit.
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
	for name, content := range imagetest.Workspace() {
		write(t, root, name, content)
	}
	git("add", ".")
	git("commit", "-q", "-m", "everything")
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

// A change of a file is one of the images that it gets into, and of no others.
func TestChanged(t *testing.T) {
	t.Parallel()
	root, git := repository(t)
	base := git("rev-parse", "HEAD")
	all := []string{"login", "menu", "order", "migrate"}
	for name, c := range map[string]struct {
		change func()
		want   []string
	}{
		"program":           {func() { write(t, root, "services/order/cmd/order/more.go", "package main\n") }, []string{"order"}},
		"package_of_all":    {func() { write(t, root, "pkg/logging/logging.go", "package logging // !\n") }, all},
		"package_of_login":  {func() { write(t, root, "pkg/secret/more.go", "package secret\n") }, []string{"login"}},
		"file_that_is_gone": {func() { git("rm", "-q", "pkg/logging/logging_windows.go") }, all},
		"package_of_nobody": {func() { write(t, root, "pkg/future/future.go", "package future\n") }, nil},
		"new_migration":     {func() { write(t, root, "migrations/sql/login/2.sql", "") }, []string{"migrate"}},
		"migration_that_is_gone": {func() {
			write(t, root, "migrations/sql/order/1.sql", "")
			git("rm", "-q", "migrations/sql/login/1.sql")
		}, []string{"migrate"}},
		"versions_of_menu":  {func() { write(t, root, "services/menu/go.sum", "") }, []string{"menu"}},
		"versions_of_pkg":   {func() { write(t, root, "pkg/go.mod", "module example.com/pizza/pkg\n\ngo 1.26.0 // !\n") }, all},
		"compiler":          {func() { write(t, root, "go.work", imagetest.Workspace()["go.work"]+"// !\n") }, all},
		"maker_of_images":   {func() { write(t, root, "deploy/images/image/image.go", "package image // !\n") }, all},
		"command_of_images": {func() { write(t, root, "deploy/images/cmd/images/main.go", "package main\n") }, nil},
		"Dockerfile":        {func() { write(t, root, "services/login/Dockerfile", "FROM scratch\n") }, []string{"login"}},
		"test":              {func() { write(t, root, "services/order/cmd/order/main_test.go", "package main\n") }, nil},
		"testdata":          {func() { write(t, root, "services/order/cmd/order/testdata/a.go", "package a\n") }, nil},
		"README":            {func() { write(t, root, "README.md", "!") }, nil},
		"name_with_a_space": {func() { write(t, root, "migrations/sql/a b.sql", "") }, []string{"migrate"}},
		"nothing":           {func() {}, nil},
	} {
		// One after the other: they share the checkout.
		git("checkout", "-q", "--force", "--detach", base)
		c.change()
		git("add", ".")
		git("commit", "-q", "--allow-empty", "-m", name)
		var got []string
		for _, s := range image.Specs() {
			files, err := image.Changed(t.Context(), root, base, s)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if len(files) > 0 {
				got = append(got, s.Name)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if _, err := image.Changed(t.Context(), root, "nothing", image.Specs()[0]); err == nil {
		t.Error("changed since a commit that is not there")
	}
	if _, err := image.Inputs(t.Context(), root, image.Spec{Package: "nothing"}); err == nil {
		t.Error("inputs of a program that is not there")
	}
}

// What an image needs of others is in the version that the go.mod files among its
// inputs say, though its program is built in the workspace, where any module could
// raise it: `go work sync` brings the go.mod files up to it.
func TestVersionsAreInputs(t *testing.T) {
	t.Parallel()
	for _, s := range image.Specs() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(versions(t, s, "GOWORK=off"), versions(t, s)); diff != "" {
				t.Errorf("%s alone, and in the workspace:\n%s", s.Folder, diff)
			}
		})
	}
}

// versions are those of the modules in a program.
func versions(t *testing.T, s image.Spec, environment ...string) []string {
	t.Helper()
	program, err := filepath.Rel(s.Folder, s.Package)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if .Version}}{{.}}{{end}}{{end}}", "./"+program)
	cmd.Dir, cmd.Env = filepath.Join(root, s.Folder), append(os.Environ(), environment...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	lines := slices.DeleteFunc(strings.Split(string(out), "\n"), func(line string) bool {
		return line == "" || strings.HasPrefix(line, "example.com/pizza/") // folders of the workspace, versions or not
	})
	slices.Sort(lines)
	return slices.Compact(lines)
}
