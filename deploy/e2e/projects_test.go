package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

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
	type kinds []struct{ Group, Kind, Name string }
	projects := bootstrapped[struct {
		Spec struct {
			Destinations               []map[string]string
			ClusterResourceWhitelist   kinds
			NamespaceResourceWhitelist kinds
		}
	}](t, "AppProject")
	sets := bootstrapped[struct {
		Spec struct {
			Template struct {
				Spec struct {
					Project     string
					Destination map[string]string
				}
			}
		}
	}](t, "ApplicationSet")
	want := slices.Sorted(maps.Keys(rendered(t)))
	var names []string
	for _, environment := range environments(t) {
		name := "pizza-" + environment
		names = append(names, name)
		p, applied := projects[name], sets[name].Spec.Template.Spec
		var got []string
		for _, k := range p.Spec.NamespaceResourceWhitelist {
			got = append(got, k.Group+"/"+k.Kind)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (- rendered, + allowed)\n%s", name, diff)
		}
		if diff := cmp.Diff([]map[string]string{applied.Destination}, p.Spec.Destinations); diff != "" ||
			applied.Project != name || applied.Destination["namespace"] != name {
			t.Errorf("%s: its Applications are of %s (- they deploy to, + allowed)\n%s", name, applied.Project, diff)
		}
		if diff := cmp.Diff(kinds{{"", "Namespace", name}}, p.Spec.ClusterResourceWhitelist); diff != "" {
			t.Errorf("%s\n%s", name, diff)
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff(names, slices.Sorted(maps.Keys(projects))); diff != "" {
		t.Error(diff)
	}
}

// On-call must always be able to roll back prod, and no other role may release: each
// environment that does not sync automatically has the role, and the windows. In each
// window, only one role may sync manually.
func TestOnCallMaySyncAtAnyTime(t *testing.T) {
	t.Parallel()
	windows := 0
	sets := bootstrapped[object](t, "ApplicationSet")
	automated := func(project string) bool {
		return inside(sets[project], "spec", "template", "spec", "syncPolicy", "automated") != nil
	}
	if all := environments(t); automated("pizza-" + all[len(all)-1]) {
		t.Errorf("%s syncs without anybody who decides it", all[len(all)-1])
	}
	for name, p := range bootstrapped[struct {
		Spec struct {
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
	}](t, "AppProject") {
		may := map[string][]string{} // by role: permissions beyond read
		for _, r := range p.Spec.Roles {
			for _, policy := range r.Policies {
				f := strings.Split(policy, ", ")
				if len(f) != 6 || f[1] != "proj:"+name+":"+r.Name || f[4] != name+"/*" || f[5] != "allow" || len(r.Groups) == 0 {
					t.Errorf("%s, %s: the policy %q is not of this role, or of no group", name, r.Name, policy)
					continue
				}
				if f[3] != "get" {
					may[r.Name] = append(may[r.Name], f[2]+" "+f[3])
				}
			}
		}
		want := map[string][]string{}
		if !automated(name) {
			want["on-call"] = []string{"applications sync"}
		}
		if diff := cmp.Diff(want, may); diff != "" {
			t.Errorf("%s: who may do more than look\n%s", name, diff)
		}
		if automated(name) == (len(p.Spec.SyncWindows) > 0) {
			t.Errorf("%s has %d windows", name, len(p.Spec.SyncWindows))
		}
		for _, w := range p.Spec.SyncWindows {
			windows++
			if w.Kind != "deny" || !w.ManualSync || !slices.Equal(w.Applications, []string{"*"}) {
				t.Errorf("%s: the window %q must deny all Applications what nobody decided, and allow the one on call a sync by hand: %+v", name, w.Description, w)
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
	var want []string
	all := environments(t)
	for _, environment := range all[:len(all)-1] { // nothing is promoted from the last
		for _, service := range delivery.Services() {
			want = append(want, "pizza-"+environment+"-"+service)
		}
	}
	type rule struct{ APIGroups, Resources, ResourceNames, Verbs []string }
	roles := bootstrapped[struct{ Rules []rule }](t, "Role")
	if diff := cmp.Diff([]rule{{[]string{"argoproj.io"}, []string{"applications"}, want, []string{"get"}}}, roles["verify"].Rules); diff != "" || len(roles) != 1 {
		t.Errorf("%d roles\n%s", len(roles), diff)
	}
	for name, o := range render(t, "../argocd", "--namespace", "argocd", "--values", filepath.Join("../..", delivery.Order)) {
		if namespace := inside(o, "metadata", "namespace"); namespace != "argocd" {
			t.Errorf("%s is in the namespace %v", name, namespace)
		}
	}
}

// The shared ConfigMap of notifications has only keys with the name of this system, and every
// subscription of an Application finds its trigger, its template and its service there.
func TestNotifications(t *testing.T) {
	t.Parallel()
	notified := bootstrapped[struct{ Data map[string]string }](t, "ConfigMap")["argocd-notifications-cm"].Data
	used := map[string]bool{}
	uses := func(prefix, name string) string {
		used[prefix+name] = true
		if notified[prefix+name] == "" {
			t.Errorf("argocd-notifications-cm has no %s", prefix+name)
		}
		return notified[prefix+name]
	}
	sets := bootstrapped[object](t, "ApplicationSet")
	all := environments(t)
	for i, environment := range all {
		var got []string
		annotations, _ := inside(sets["pizza-"+environment], "spec", "template", "metadata", "annotations").(object)
		for annotation := range annotations {
			subscription, found := strings.CutPrefix(annotation, "notifications.argoproj.io/subscribe.")
			trigger, service, _ := strings.Cut(subscription, ".")
			if !found {
				continue
			}
			got = append(got, subscription)
			var conditions []struct{ Send []string }
			if err := yaml.Unmarshal([]byte(uses("trigger.", trigger)), &conditions); err != nil {
				t.Fatal(err)
			}
			uses("service.webhook.", service)
			for _, condition := range conditions {
				for _, name := range condition.Send {
					if text := uses("template.", name); !strings.HasPrefix(text, "webhook: {"+service+": {") {
						t.Errorf("%s: the template %s of the trigger %s is of another service: %s", service, name, trigger, text)
					}
				}
			}
		}
		want := []string{"pizza-degraded.pizza-team", "pizza-deployed.pizza-team", "pizza-passed.pizza-github", "pizza-sync-failed.pizza-team"}
		if i == len(all)-1 { // nothing is promoted from the last
			want = slices.Delete(want, 2, 3)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (- wanted, + subscribed)\n%s", environment, diff)
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(used)), slices.Sorted(maps.Keys(notified))); diff != "" {
		t.Errorf("argocd-notifications-cm (- subscribed, + there)\n%s", diff)
	}
	for key := range notified {
		if name := key[strings.LastIndexByte(key, '.')+1:]; !strings.HasPrefix(name, "pizza-") {
			t.Errorf("%s could be a name of the platform", key)
		}
	}
}

// The documented credentials cover every source of the Applications.
func TestCredentials(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../argocd/credentials.yaml")
	if err != nil {
		t.Fatal(err)
	}
	covers := map[string]string{} // types by URL
	for _, secret := range documents[struct {
		Metadata   struct{ Labels map[string]string }
		StringData struct{ Type, URL string }
	}](t, text) {
		kind := secret.Metadata.Labels["argocd.argoproj.io/secret-type"]
		if kind != "repository" && kind != "repo-creds" {
			t.Errorf("Argo CD does not read a Secret of the type %q", kind)
		}
		covers[secret.StringData.URL] = secret.StringData.Type
	}
	for name, set := range bootstrapped[object](t, "ApplicationSet") {
		sources, _ := inside(set, "spec", "template", "spec", "sources").([]any)
		for _, source := range sources {
			url, _ := inside(source, "repoURL").(string)
			want := "git"
			if strings.HasPrefix(url, "oci://") {
				want = "oci"
			}
			found := ""
			for prefix, kind := range covers {
				if strings.HasPrefix(url, prefix) {
					found = kind
				}
			}
			if found != want {
				t.Errorf("%s: the credentials of %s are of the type %q, want %s", name, url, found, want)
			}
		}
	}
}

// Argo CD creates each namespace with the pod security standard that the chart's pods meet
// (helm/pizza/tests).
func TestNamespaces(t *testing.T) {
	t.Parallel()
	for name, set := range bootstrapped[object](t, "ApplicationSet") {
		policy := inside(set, "spec", "template", "spec", "syncPolicy")
		options, _ := inside(policy, "syncOptions").([]any)
		labels := inside(policy, "managedNamespaceMetadata", "labels")
		if inside(labels, "pod-security.kubernetes.io/enforce") != "restricted" || !slices.Contains(options, any("CreateNamespace=true")) {
			t.Errorf("%s: the namespace is made with %v and %v", name, options, labels)
		}
	}
}
