package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const root = "../.."

// Every command of the page is part of a walk, and every stand-in replaces something.
func TestPage(t *testing.T) {
	t.Parallel()
	blocks, err := page(root)
	if err != nil {
		t.Fatal(err)
	}
	i := &installation{experiment: &experiment{system: &system{}}, registry: newRegistry(t.Output())}
	defer i.registry.Close()
	walked := slices.Collect(maps.Keys(i.steps()))
	walked = append(walked, "adopt", "argocd") // TestAdopt, and make gitops
	var names []string
	for _, b := range blocks {
		names = append(names, b.name)
		if _, err := b.replaced("elsewhere"); err != nil {
			t.Error(err)
		}
		if b.name != "names" {
			continue
		}
		want := i.variables("", "")
		delete(want, "PLAIN_HTTP")
		delete(want, "CURL_HOME")
		var asked []string
		for _, m := range regexp.MustCompile(`\b([A-Z_]+)=`).FindAllStringSubmatch(b.text, -1) {
			asked = append(asked, m[1])
		}
		slices.Sort(asked)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), asked); diff != "" {
			t.Errorf("variables (- the walk sets, + the page names)\n%s", diff)
		}
	}
	slices.Sort(names)
	slices.Sort(walked)
	if diff := cmp.Diff(walked, names); diff != "" {
		t.Errorf("blocks (- walks run, + the page has)\n%s", diff)
	}
	if fences := strings.Count(read(t, filepath.Join(root, pageFile)), "\n```") / 2; fences != len(blocks) {
		t.Errorf("%d of %d blocks of the page are in a walk", len(blocks), fences)
	}
	if _, err := (block{"install", "helm install"}).replaced("elsewhere"); err == nil {
		t.Error("a stand-in for what is not there is no error")
	}
}

// With the values on the page, pods can pull, and kube-prometheus-stack reads what the chart has for it.
func TestPageValues(t *testing.T) {
	t.Parallel()
	blocks, err := page(root)
	if err != nil {
		t.Fatal(err)
	}
	n := slices.IndexFunc(blocks, func(b block) bool { return b.name == "values" })
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte(blocks[n].text), 0o600); err != nil {
		t.Fatal(err)
	}
	labeled, pulling := map[string]int{}, 0
	for name, o := range render(t, packaged(t), "--values", "../environments/prod/values.yaml", "--values", file) {
		kind := o["kind"].(string)
		switch kind {
		case "ServiceMonitor", "PodMonitor", "PrometheusRule":
			if got := inside(o, "metadata", "labels", "release"); got != "kube-prometheus-stack" {
				t.Errorf("%s has the label release: %v", name, got)
			}
			labeled[kind]++
		case "Deployment", "Job":
			pulling++
			if got := inside(o, "spec", "template", "spec", "imagePullSecrets"); !cmp.Equal(got, []any{object{"name": "registry"}}) {
				t.Errorf("%s pulls with %v", name, got)
			}
		}
	}
	if len(labeled) != 2 || pulling != 4 {
		t.Errorf("monitoring objects %v, %d pods; want two kinds and 4", labeled, pulling)
	}
}
