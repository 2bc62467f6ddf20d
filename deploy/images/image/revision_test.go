package image_test

import (
	"strings"
	"testing"

	"example.com/pizza/deploy/images/image"
)

// A commit changes the images that it touches, and no others.
func TestRevisionOf(t *testing.T) {
	t.Parallel()
	root, git := repository(t)
	first := git("rev-parse", "HEAD")
	write(t, root, "services/login/cmd/login/more.go", "package main\n")
	git("add", ".")
	git("commit", "-q", "-m", "login")
	last := git("rev-parse", "HEAD")
	for _, step := range []struct {
		name        string
		change      func()
		login, menu string
	}{
		{"commit", func() {}, last, first},
		{"change_of_a_test", func() { write(t, root, "services/menu/cmd/menu/main_test.go", "package main\n") }, last, first},
		{"change_of_menu", func() { write(t, root, "services/menu/cmd/menu/more.go", "package main\n") }, last, first + "-dirty"},
		{"change_of_what_all_share", func() { write(t, root, "pkg/logging/more.go", "package logging\n") }, last + "-dirty", first + "-dirty"},
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
