package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"example.com/pizza/deploy/delivery"
)

// helm runs Helm, which is built by the targets of the Makefile that run these tests.
func helm(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "../../.local/bin/helm", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("helm %q: %v (make .local/bin/helm builds it)\n%s", args, err, &stderr)
	}
	return out
}

// packaged returns the chart pizza as published.
func packaged(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("../../helm")); err != nil {
		t.Fatal(err)
	}
	helm(t, "dependency", "build", filepath.Join(folder, "pizza"))
	helm(t, "package", filepath.Join(folder, "pizza"), "--destination", folder)
	files, err := filepath.Glob(filepath.Join(folder, "pizza-*.tgz"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	return files[0]
}

// documents splits a file of several YAML documents.
func documents[T any](t *testing.T, text []byte) (all []T) {
	t.Helper()
	for document := range bytes.SplitSeq(text, []byte("\n---")) {
		var d T
		if err := yaml.Unmarshal(document, &d); err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}

type object = map[string]any

// render returns the objects that a chart renders, by kind and name.
func render(t *testing.T, chart string, args ...string) map[string]object {
	t.Helper()
	objects := map[string]object{}
	for _, o := range documents[object](t, helm(t, append([]string{"template", "pizza", chart, "--namespace", "pizza"}, args...)...)) {
		if len(o) == 0 {
			continue
		}
		name := o["kind"].(string) + "/" + inside(o, "metadata", "name").(string)
		if objects[name] != nil {
			t.Errorf("%s is rendered twice", name)
		}
		objects[name] = o
	}
	return objects
}

// inside returns a value by its path, or nil.
func inside(v any, path ...string) any {
	for _, key := range path {
		o, _ := v.(object)
		v = o[key]
	}
	return v
}

// environments returns the environments of the repository, in the order of promotion.
func environments(t *testing.T) []string {
	t.Helper()
	all, err := delivery.Repository{Root: "../.."}.Environments()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// bootstrapped returns the objects of a kind that deploy/argocd renders, by name.
func bootstrapped[T any](t *testing.T, kind string) map[string]T {
	t.Helper()
	all := map[string]T{}
	for name, o := range render(t, "../argocd", "--namespace", "argocd", "--values", filepath.Join("../..", delivery.Order)) {
		if o["kind"] != kind {
			continue
		}
		text, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		var typed T
		if err := yaml.Unmarshal(text, &typed); err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(name, kind+"/")] = typed
	}
	if len(all) == 0 {
		t.Fatalf("deploy/argocd renders no %s", kind)
	}
	return all
}

// parts returns the parts of an environment: the values in which its Argo CD Applications
// differ.
func parts(t *testing.T) map[string]string {
	t.Helper()
	set := bootstrapped[struct {
		Spec struct {
			Generators []struct {
				Matrix struct {
					Generators []struct {
						List struct{ Elements []map[string]string }
					}
				}
			}
			Template struct {
				Spec struct {
					Sources []struct{ Helm struct{ Values string } }
				}
			}
		}
	}](t, "ApplicationSet")["pizza-"+environments(t)[0]] // they differ in no part
	values, err := template.New("values").Option("missingkey=error").Parse(set.Spec.Template.Spec.Sources[0].Helm.Values)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, generator := range set.Spec.Generators[0].Matrix.Generators {
		for _, element := range generator.List.Elements {
			part := element["part"]
			if part == "" {
				continue
			}
			var rendered bytes.Buffer
			if err := values.Execute(&rendered, element); err != nil {
				t.Fatal(err)
			}
			files[part] = filepath.Join(t.TempDir(), part+".yaml")
			if err := os.WriteFile(files[part], rendered.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return files
}

// The Applications of an environment together equal the release that Helm installs, and
// share no object. Each service includes its own migration, and the Helm release has one.
func TestParts(t *testing.T) {
	t.Parallel()
	chart, all := packaged(t), parts(t)
	if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, []string{"login", "menu", "order", "shared"}) {
		t.Fatalf("the parts are %q", got)
	}
	environments, err := filepath.Glob("../environments/*/values.yaml")
	if err != nil || len(environments) == 0 {
		t.Fatal(environments, err)
	}
	migrates := func(_ string, o object) bool {
		component := inside(o, "metadata", "labels", "app.kubernetes.io/component")
		return component == "migration" || component == "test" && o["kind"] == "Job"
	}
	for _, environment := range environments {
		whole := render(t, chart, "--values", environment, "--skip-tests")
		if whole["Job/migrate"] == nil {
			t.Errorf("%s renders no migration", environment)
		}
		maps.DeleteFunc(whole, migrates)
		together := map[string]object{}
		for part, values := range all {
			objects := render(t, chart, "--values", environment, "--values", values, "--skip-tests")
			if migrated := objects["Job/migrate-"+part] != nil; migrated != (part != "shared") {
				t.Errorf("%s: the part %s has its migration: %v", environment, part, migrated)
			}
			maps.DeleteFunc(objects, migrates)
			for name, o := range objects {
				if together[name] != nil {
					t.Errorf("%s: %s is in two parts", environment, name)
				}
				together[name] = o
			}
		}
		if diff := cmp.Diff(whole, together); diff != "" {
			t.Errorf("%s (- whole, + parts)\n%s", environment, diff)
		}
	}
}

// The package includes the pod of helm test, but not the charts' own tests and scenarios.
func TestPackageHasItsTest(t *testing.T) {
	t.Parallel()
	chart := packaged(t)
	pod := render(t, chart, "--values", "../../helm/pizza/ci/dev-values.yaml")["Pod/test-order"]
	if pod == nil {
		t.Fatal("the package renders no test")
	}
	annotations := object{"helm.sh/hook": "test", "helm.sh/hook-delete-policy": "before-hook-creation"}
	if diff := cmp.Diff(annotations, inside(pod, "metadata", "annotations")); diff != "" {
		t.Error(diff)
	}
	containers, _ := inside(pod, "spec", "containers").([]any)
	if len(containers) != 1 || !cmp.Equal(inside(containers[0], "args"), []any{"smoke"}) {
		t.Errorf("it runs %v", containers)
	}
	for _, name := range files(t, chart) {
		if strings.HasPrefix(name, "pizza/ci/") || strings.HasPrefix(name, "pizza/tests/") {
			t.Errorf("%s is in the package", name)
		}
	}
}

// files returns the names in a package.
func files(t *testing.T, chart string) (names []string) {
	t.Helper()
	file, err := os.Open(chart)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
	}
}

// As a dependency of a parent chart with other globals, the chart renders the same objects.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	chart := packaged(t)
	company := t.TempDir()
	version := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(chart), "pizza-"), ".tgz")
	text := "apiVersion: v2\nname: company\nversion: 1.0.0\ndependencies: [{name: pizza, version: " + version + "}]\n"
	if err := errors.Join(os.Mkdir(filepath.Join(company, "charts"), 0o700),
		os.WriteFile(filepath.Join(company, "Chart.yaml"), []byte(text), 0o600),
		os.Rename(chart, filepath.Join(company, "charts", filepath.Base(chart)))); err != nil {
		t.Fatal(err)
	}
	scenarios, err := filepath.Glob("../../helm/pizza/ci/*.yaml")
	if err != nil || len(scenarios) == 0 {
		t.Fatal(scenarios, err)
	}
	for _, scenario := range scenarios {
		text, err := os.ReadFile(scenario)
		if err != nil {
			t.Fatal(err)
		}
		var values object
		if err := yaml.Unmarshal(text, &values); err != nil {
			t.Fatal(err)
		}
		global := values["global"].(object)
		delete(values, "global")
		global["costCenter"], global["storage"] = 4711, object{"class": "fast"}
		text, err = yaml.Marshal(object{"global": global, "pizza": values})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "values.yaml")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		alone := render(t, filepath.Join(company, "charts", filepath.Base(chart)), "--values", scenario)
		if diff := cmp.Diff(alone, render(t, company, "--values", file)); diff != "" || len(alone) == 0 {
			t.Errorf("%s (- alone, + embedded)\n%s", scenario, diff)
		}
	}
}

// Every part of an environment renders with the chart that it pins, and with no other.
func TestPinned(t *testing.T) {
	t.Parallel()
	all := parts(t)
	newest := packaged(t)
	for _, environment := range environments(t) {
		values, images := "../environments/"+environment+"/values.yaml", filepath.Join("../..", delivery.Path(environment))
		text, err := os.ReadFile(images)
		if err != nil {
			t.Fatal(err)
		}
		pins, err := delivery.Parse(images, text)
		if err != nil {
			t.Fatal(err)
		}
		pin := pins[slices.IndexFunc(pins, func(i delivery.Image) bool { return i.Key == delivery.Chart })]
		chart := pinned(t, pin.Tag)
		for part, of := range all {
			if objects := render(t, chart, "--values", values, "--values", images, "--values", of); len(objects) == 0 {
				t.Errorf("%s renders nothing of %s with its chart %s", environment, part, pin.Tag)
			}
		}
		out, err := exec.CommandContext(t.Context(), "../../.local/bin/helm", "template", "pizza", newest, "--values", values, "--values", images).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "global.chart.tag is "+pin.Tag) {
			t.Errorf("%s renders with another chart: %v %.200s", environment, err, out)
		}
	}
}

// pinned packages the chart as it was at the commit that its version names.
func pinned(t *testing.T, version string) string {
	t.Helper()
	_, commit, found := strings.Cut(version, "-g")
	if !found {
		commit = "v" + version
	}
	folder := t.TempDir()
	archive := exec.CommandContext(t.Context(), "git", "-C", "../..", "archive", "--output", filepath.Join(folder, "helm.tar"), commit, "helm")
	if out, err := archive.CombinedOutput(); err != nil {
		t.Fatalf("the chart %s is of no commit here: %v: %s", version, err, out)
	}
	if out, err := exec.CommandContext(t.Context(), "tar", "-x", "-C", folder, "-f", filepath.Join(folder, "helm.tar")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	helm(t, "dependency", "build", filepath.Join(folder, "helm", "pizza"))
	helm(t, "package", filepath.Join(folder, "helm", "pizza"), "--version", version, "--app-version", version, "--destination", folder)
	return filepath.Join(folder, "pizza-"+version+".tgz")
}

// The Applications pull what delivery moves: the pinned digest, from the address that the
// release pushes to, with the values of main.
func TestApplicationsPin(t *testing.T) {
	t.Parallel()
	sets := bootstrapped[object](t, "ApplicationSet")
	for _, environment := range environments(t) {
		set := sets["pizza-"+environment]
		sources, _ := inside(set, "spec", "template", "spec", "sources").([]any)
		if len(sources) != 2 {
			t.Fatalf("%s: %d sources, want the chart and the values", environment, len(sources))
		}
		chart, values := sources[0].(object), sources[1].(object)
		text, err := os.ReadFile(filepath.Join("../..", delivery.Path(environment)))
		if err != nil {
			t.Fatal(err)
		}
		var parameters object
		if err := yaml.Unmarshal(text, &parameters); err != nil {
			t.Fatal(err)
		}
		revision, err := template.New("").Option("missingkey=error").Parse(chart["targetRevision"].(string))
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := revision.Execute(&got, parameters); err != nil {
			t.Fatal(err)
		}
		pins, err := delivery.Parse(environment, text)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(pins, func(i delivery.Image) bool { return i.Key == delivery.Chart })
		if got.String() != pins[i].Digest {
			t.Errorf("%s takes the chart %s, want %s", environment, &got, pins[i].Digest)
		}
		text, err = os.ReadFile("../environments/" + environment + "/values.yaml")
		if err != nil {
			t.Fatal(err)
		}
		var how object
		if err := yaml.Unmarshal(text, &how); err != nil {
			t.Fatal(err)
		}
		if want := "oci://" + inside(how, "global", "image", "registry").(string) + "/" + pins[i].Repository(); chart["repoURL"] != want {
			t.Errorf("the chart is pulled from %s, want %s", chart["repoURL"], want)
		}
		folder := "$" + values["ref"].(string) + "/deploy/environments/" + environment
		want := []any{folder + "/values.yaml", folder + "/images.yaml"}
		if diff := cmp.Diff(want, inside(chart, "helm", "valueFiles")); diff != "" || values["targetRevision"] != "main" {
			t.Errorf("%s: the values are of %v\n%s", environment, values["targetRevision"], diff)
		}
	}
}
