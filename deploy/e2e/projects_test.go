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

	"example.com/pizza/deploy/delivery"
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

// On-call must always be able to roll back prod, and no other role may release: in each
// window, only one role may sync manually.
func TestOnCallMaySyncAtAnyTime(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../argocd/projects.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ = bytes.Cut(text, []byte("\n---"))
	windows := 0
	for _, p := range documents[struct {
		Metadata struct{ Name string }
		Spec     struct {
			Roles []struct {
				Name             string
				Groups, Policies []string
			}
			SyncWindows []struct {
				Kind, Description string
				Applications      []string
				ManualSync        bool
			}
		}
	}](t, text) {
		may := map[string][]string{} // by role: permissions beyond read
		for _, r := range p.Spec.Roles {
			for _, policy := range r.Policies {
				f := strings.Split(policy, ", ")
				if len(f) != 6 || f[1] != "proj:"+p.Metadata.Name+":"+r.Name || f[4] != p.Metadata.Name+"/*" || f[5] != "allow" || len(r.Groups) == 0 {
					t.Errorf("%s, %s: the policy %q is not of this role, or of no group", p.Metadata.Name, r.Name, policy)
					continue
				}
				if f[3] != "get" {
					may[r.Name] = append(may[r.Name], f[2]+" "+f[3])
				}
			}
		}
		want := map[string][]string{}
		if p.Metadata.Name == "pizza-prod" { // the others sync automatically
			want["on-call"] = []string{"applications sync"}
		}
		if diff := cmp.Diff(want, may); diff != "" {
			t.Errorf("%s: who may do more than look\n%s", p.Metadata.Name, diff)
		}
		for _, w := range p.Spec.SyncWindows {
			windows++
			if w.Kind != "deny" || !w.ManualSync || !slices.Equal(w.Applications, []string{"*"}) {
				t.Errorf("%s: the window %q must deny all Applications what nobody decided, and allow the one on call a sync by hand: %+v", p.Metadata.Name, w.Description, w)
			}
		}
	}
	if windows == 0 {
		t.Error("there are no windows")
	}
}

// The account of the workflow verify may read only what it attests.
func TestVerificationReadsAlone(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../argocd/verify.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ = bytes.Cut(text, []byte("apiVersion"))
	var want []string
	for _, environment := range delivery.Environments()[:2] { // nothing is promoted from the last
		for _, service := range delivery.Services() {
			want = append(want, "pizza-"+environment+"-"+service)
		}
	}
	type rule struct{ APIGroups, Resources, ResourceNames, Verbs []string }
	roles := 0
	for _, d := range documents[struct {
		Kind     string
		Metadata struct{ Namespace string }
		Rules    []rule
	}](t, append([]byte("apiVersion"), text...)) {
		if d.Metadata.Namespace != "argocd" || d.Kind == "ClusterRole" || d.Kind == "ClusterRoleBinding" {
			t.Errorf("a %s of the namespace %q", d.Kind, d.Metadata.Namespace)
		}
		if d.Kind != "Role" {
			continue
		}
		roles++
		if diff := cmp.Diff([]rule{{[]string{"argoproj.io"}, []string{"applications"}, want, []string{"get"}}}, d.Rules); diff != "" {
			t.Error(diff)
		}
	}
	if roles != 1 {
		t.Errorf("%d roles", roles)
	}
}
