package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rendered returns the kinds that the umbrella chart renders in any scenario and
// environment, as group/Kind. Argo CD skips objects for `helm test`.
func rendered(t *testing.T) map[string]bool {
	t.Helper()
	chart, all := packaged(t), parts(t)
	scenarios, err := filepath.Glob("../../helm/pizza/ci/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	environments, err := filepath.Glob("../environments/*/values.yaml")
	if err != nil || len(scenarios) == 0 || len(environments) == 0 {
		t.Fatal("no values", err)
	}
	kinds := map[string]bool{}
	for _, values := range append(scenarios, environments...) {
		for _, part := range all {
			for _, o := range render(t, chart, "--values", part, "--values", values, "--skip-tests") {
				group, _, found := strings.Cut(o["apiVersion"].(string), "/")
				if !found {
					group = ""
				}
				kinds[group+"/"+o["kind"].(string)] = true
			}
		}
	}
	return kinds
}

// A project that allows less than the charts render blocks a sync. One that
// allows more violates least privilege.
func TestProjects(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../argocd/projects.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ = bytes.Cut(text, []byte("\n---")) // only comments come before it
	type kinds []struct{ Group, Kind, Name string }
	projects := documents[struct {
		Metadata struct{ Name string }
		Spec     struct {
			Destinations               []struct{ Namespace string }
			ClusterResourceWhitelist   kinds
			NamespaceResourceWhitelist kinds
		}
	}](t, text)
	want := slices.Sorted(maps.Keys(rendered(t)))
	var names []string
	for _, p := range projects {
		names = append(names, p.Metadata.Name)
		var got []string
		for _, k := range p.Spec.NamespaceResourceWhitelist {
			got = append(got, k.Group+"/"+k.Kind)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (- rendered, + allowed)\n%s", p.Metadata.Name, diff)
		}
		if len(p.Spec.Destinations) != 1 || p.Spec.Destinations[0].Namespace != p.Metadata.Name {
			t.Errorf("%s deploys to %v", p.Metadata.Name, p.Spec.Destinations)
		}
		if diff := cmp.Diff(kinds{{"", "Namespace", p.Metadata.Name}}, p.Spec.ClusterResourceWhitelist); diff != "" {
			t.Errorf("%s\n%s", p.Metadata.Name, diff)
		}
	}
	if diff := cmp.Diff([]string{"pizza-dev", "pizza-stg", "pizza-prod"}, names); diff != "" {
		t.Error(diff)
	}
}
