package workflows

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// Every module, Dockerfile and action of this repository is kept up to date.
func TestDependabot(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(root, ".github/dependabot.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Updates []struct {
			Ecosystem   string   `json:"package-ecosystem"`
			Directories []string `json:"directories"`
		} `json:"updates"`
	}
	if err := yaml.UnmarshalStrict(content, &map[string]any{}); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, &config); err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, u := range config.Updates {
		got[u.Ecosystem] = append(got[u.Ecosystem], u.Directories...)
	}
	want := map[string][]string{"github-actions": {"/"}}
	ecosystems := map[string]string{"go.mod": "gomod", "Dockerfile": "docker", "action.yml": "github-actions"}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == ".local" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if ecosystem := ecosystems[d.Name()]; ecosystem != "" {
			folder, err := filepath.Rel(root, filepath.Dir(path))
			want[ecosystem] = append(want[ecosystem], "/"+filepath.ToSlash(folder))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for ecosystem, folders := range want {
		slices.Sort(folders)
		slices.Sort(got[ecosystem])
		if !slices.Equal(folders, got[ecosystem]) {
			t.Errorf("%s is kept up to date in\n%s\nwant\n%s", ecosystem, strings.Join(got[ecosystem], "\n"), strings.Join(folders, "\n"))
		}
	}
}
