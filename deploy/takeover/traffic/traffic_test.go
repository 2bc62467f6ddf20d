package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// both is a path that both sides share.
func both(path string, percent int, header string, mirrored bool, old int, objects ...string) Path {
	name := strings.TrimPrefix(path, "/")
	return Path{
		path, Side{percent, name + "-svc", 1}, Side{100 - percent, name + "-legacy", old}, header, mirrored, objects,
	}
}

// TestRendered checks what the chart renders, in each way in.
func TestRendered(t *testing.T) {
	t.Parallel()
	chart := packaged(t)
	const name = "X-Pizza-Services"
	gateway := []string{"--set", "ingress.enabled=false"}
	tests := map[string]struct {
		scenario string
		args     []string
		want     []Path
		next     string
	}{
		"ingress-nginx": {"takeover", []string{"--set", "order.service.type=ClusterIP,takeover.weights.login=0"}, []Path{
			both("/login", 0, name, false, 1, "Ingress pizza with pizza-login"),
			both("/menu", 50, name, false, 1, "Ingress pizza with pizza-menu"),
			both("/order", 100, name, false, 1, "Ingress pizza with pizza-order"),
		}, "if parity finds no difference, set takeover.weights.login to 10"},
		"traefik_and_gateway": {"takeover-traefik", nil, []Path{
			both("/login", 100, "X-Side", false, 3, "IngressRoute pizza", "HTTPRoute pizza"),
			both("/menu", 0, "X-Side", true, 3, "IngressRoute pizza", "HTTPRoute pizza"),
			both("/order", 10, "X-Side", true, 3, "IngressRoute pizza", "HTTPRoute pizza"),
		}, "if parity finds no difference, set takeover.weights.menu to 10"},
		"gateway": {"takeover-traefik", append(gateway, "--set", "takeover.weights.menu=100,"+
			"takeover.mirror.menu=false"), []Path{
			both("/login", 100, "X-Side", false, 3, "HTTPRoute pizza"),
			both("/menu", 100, "X-Side", false, 3, "HTTPRoute pizza"),
			both("/order", 10, "X-Side", true, 3, "HTTPRoute pizza"),
		}, "if parity finds no difference, set takeover.weights.order to 50"},
		"last_step_of_a_mirrored_path": {"takeover-traefik", append(gateway, "--set", "takeover.weights.menu=70"), []Path{
			both("/login", 100, "X-Side", false, 3, "HTTPRoute pizza"),
			both("/menu", 70, "X-Side", true, 3, "HTTPRoute pizza"),
			both("/order", 10, "X-Side", true, 3, "HTTPRoute pizza"),
		}, "if parity finds no difference, set takeover.weights.menu to 100 and takeover.mirror.menu to false"},
		"login_half_way": {"takeover", []string{"--set", "order.service.type=ClusterIP,takeover.weights.login=50," +
			"takeover.weights.menu=100"}, []Path{
			both("/login", 50, name, false, 1, "Ingress pizza with pizza-login"),
			both("/menu", 100, name, false, 1, "Ingress pizza with pizza-menu"),
			both("/order", 100, name, false, 1, "Ingress pizza with pizza-order"),
		}, "if parity finds no difference, set takeover.weights.login to 100"},
		"all_moved": {"takeover", []string{"--set", "order.service.type=ClusterIP,takeover.weights.menu=100," +
			"takeover.weights.login=100"}, []Path{
			both("/login", 100, name, false, 1, "Ingress pizza with pizza-login"),
			both("/menu", 100, name, false, 1, "Ingress pizza with pizza-menu"),
			both("/order", 100, name, false, 1, "Ingress pizza with pizza-order"),
		}, "stop the old system when nobody needs it, and set takeover.enabled to false"},
		"no_takeover": {"takeover", []string{"--set", "takeover.enabled=false"}, []Path{
			{"/login", Side{100, "login-svc", 1}, Side{}, "", false, []string{"Ingress pizza"}},
			{"/menu", Side{100, "menu-svc", 1}, Side{}, "", false, []string{"Ingress pizza"}},
			{"/order", Side{100, "order-public", 1}, Side{}, "", false, []string{"Ingress pizza"}},
		}, "nothing: there is no old system, and the services have all paths"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := report(t, installed(t, chart, test.scenario, test.args...))
			if diff := cmp.Diff(&Report{test.want, []string{}, test.next}, got); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
}

// TestRecorded reads what kubectl printed on a real cluster, with Traefik.
func TestRecorded(t *testing.T) {
	t.Parallel()
	const name = "X-Pizza-Services"
	tests := map[string]*Report{
		"nginx": {[]Path{
			both("/login", 0, name, false, 1, "Ingress pizza with pizza-login"),
			both("/menu", 10, name, false, 1, "Ingress pizza with pizza-menu"),
			both("/order", 50, name, false, 1, "Ingress pizza with pizza-order"),
		}, []string{}, "if parity finds no difference, set takeover.weights.login to 10"},
		"traefik": {[]Path{
			both("/login", 0, name, false, 1, "IngressRoute pizza", "HTTPRoute pizza"),
			both("/menu", 10, name, true, 1, "IngressRoute pizza", "HTTPRoute pizza"),
			both("/order", 50, name, false, 1, "IngressRoute pizza", "HTTPRoute pizza"),
		}, []string{
			"HTTPRoute pizza: Traefik answers 500 to mirrored reads of a Gateway",
		}, "resolve the warnings before a weight changes"},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var lists map[string]struct{ Items []object }
			if err := json.Unmarshal(text, &lists); err != nil {
				t.Fatal(err)
			}
			c := cluster{}
			for resource, list := range lists {
				c[resource] = list.Items
			}
			got, err := report(t, c)
			if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (len(want.Warnings) == 0) {
				t.Error(err, diff)
			}
		})
	}
}

// remove deletes the objects whose name is one of the names.
func (c cluster) remove(kind string, names ...string) {
	c[resources[kind]] = slices.DeleteFunc(c[resources[kind]], func(o object) bool {
		return slices.Contains(names, o["metadata"].(object)["name"].(string))
	})
}

// TestWarnings checks what is wrong with a cluster, which a script learns by the exit status.
func TestWarnings(t *testing.T) {
	t.Parallel()
	chart := packaged(t)
	tests := map[string]struct {
		scenario string
		args     []string
		change   func(c cluster)
		want     []string
	}{
		"no_endpoints": {"takeover", nil, func(c cluster) {
			c.remove("EndpointSlice", "login-svc", "menu-svc", "menu-legacy", "order-legacy")
			c.endpoints("menu-svc", false, false)
		}, []string{ // login-svc and order-legacy get nothing
			"/menu: menu-legacy gets 50 % of the requests, and has no ready endpoint",
			"/menu: menu-svc gets 50 % of the requests, and has no ready endpoint",
		}},
		"no_endpoints_for_mirrored_reads": {"takeover-traefik", nil, func(c cluster) {
			c.remove("EndpointSlice", "menu-svc")
		}, []string{"/menu: menu-svc gets the mirrored reads, and has no ready endpoint"}},
		"route_of_another_step": {"takeover", nil, func(c cluster) {
			other := installed(t, chart, "takeover-traefik", "--set", "takeover.weights.menu=50")
			c[resources["HTTPRoute"]] = other[resources["HTTPRoute"]]
			c.endpoints("order-svc", true)
		}, []string{
			"/login: Ingress pizza with pizza-login and HTTPRoute pizza contradict each other: the services get " +
				"0 % with the header X-Pizza-Services, and 100 % with the header X-Side",
			"/menu: Ingress pizza with pizza-menu and HTTPRoute pizza contradict each other: the services get " +
				"50 % with the header X-Pizza-Services, and 50 % with the header X-Side with mirrored reads",
			"/order: Ingress pizza with pizza-order and HTTPRoute pizza contradict each other: the services get " +
				"100 % with the header X-Pizza-Services, and 10 % with the header X-Side with mirrored reads",
		}},
		"canary_alone": {"takeover", nil, func(c cluster) {
			c.remove("Ingress", "pizza")
		}, []string{
			"/login: no Ingress, IngressRoute or HTTPRoute has it",
			"/menu: no Ingress, IngressRoute or HTTPRoute has it",
			"/order: no Ingress, IngressRoute or HTTPRoute has it",
			"Ingress pizza-login has no effect where no other Ingress has its path",
			"Ingress pizza-menu has no effect where no other Ingress has its path",
			"Ingress pizza-order has no effect where no other Ingress has its path",
		}},
		"a_canary_for_one_prefix": {"takeover", nil, func(c cluster) {
			for _, i := range c[resources["Ingress"]] {
				if i["metadata"].(object)["name"] == "pizza-menu" {
					rule := i["spec"].(object)["rules"].([]any)[0].(object)["http"].(object)
					rule["paths"] = rule["paths"].([]any)[:1]
				}
			}
		}, []string{
			"/menu: Ingress pizza with pizza-menu and Ingress pizza contradict each other: the services get " +
				"50 % with the header X-Pizza-Services, and 0 %",
		}},
		"part_of_a_path": {"takeover", nil, func(c cluster) {
			c.add(object{"kind": "Ingress", "metadata": object{"name": "old"}, "spec": object{"rules": []any{object{
				"host": "pizza.example", "http": object{"paths": []any{object{
					"path": "/login/register/", "backend": object{"service": object{"name": "django"}},
				}}},
			}}}})
		}, []string{
			"/login: Ingress old sends requests to django, which is of neither side",
			"/login: Ingress pizza with pizza-login and Ingress old contradict each other: the services get " +
				"0 % with the header X-Pizza-Services, and 0 %",
		}},
		"no_TraefikService": {"takeover-traefik", []string{"--set", "httpRoute.enabled=false"}, func(c cluster) {
			c.remove("TraefikService", "pizza-order-mirrored")
		}, []string{
			"IngressRoute pizza: there is no TraefikService pizza-order-mirrored",
		}},
		"a_circle_of_TraefikServices": {"takeover-traefik", []string{"--set", "httpRoute.enabled=false"}, func(c cluster) {
			c.remove("TraefikService", "pizza-login")
			c.add(object{"kind": "TraefikService", "metadata": object{"name": "pizza-login"}, "spec": object{
				"weighted": object{"services": []any{object{"kind": "TraefikService", "name": "pizza-login"}}},
			}})
		}, []string{"IngressRoute pizza: there is no TraefikService pizza-login"}},
		"header_to_the_wrong_side": {"takeover", nil, func(c cluster) {
			for _, i := range c[resources["Ingress"]] {
				for _, r := range i["spec"].(object)["rules"].([]any) {
					for _, p := range r.(object)["http"].(object)["paths"].([]any) {
						service := p.(object)["backend"].(object)["service"].(object)
						service["name"] = strings.NewReplacer("menu-svc", "menu-legacy", "menu-legacy", "menu-svc").
							Replace(service["name"].(string))
					}
				}
			}
		}, []string{
			"/menu: Ingress pizza with pizza-menu sends requests with X-Pizza-Services: always to the wrong side",
			"/menu: Ingress pizza with pizza-menu sends requests with X-Pizza-Services: never to the wrong side",
		}},
		"refused_by_the_Gateway": {"takeover-traefik", nil, func(c cluster) {
			c[resources["HTTPRoute"]][0]["status"] = object{"parents": []any{object{"conditions": []any{
				object{"type": "Accepted", "status": "False", "message": "unsupported filter RequestMirror"},
				object{"type": "Programmed", "status": "False"},
				object{"type": "ResolvedRefs", "status": "True"},
			}}}}
		}, []string{"HTTPRoute pizza: its Gateway says that Accepted is False: unsupported filter RequestMirror"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := installed(t, chart, test.scenario, test.args...)
			test.change(c)
			got, err := report(t, c)
			if diff := cmp.Diff(test.want, got.Warnings); diff != "" {
				t.Error(diff)
			}
			if !errors.Is(err, errWarned) || got.Next != "resolve the warnings before a weight changes" {
				t.Error(err, got.Next)
			}
		})
	}
}

// TestText compares the report for people, which fits a terminal.
func TestText(t *testing.T) {
	t.Parallel()
	c := installed(t, packaged(t), "takeover-traefik", "--set", "takeover.header=X-Pizza-Services")
	c.remove("EndpointSlice", "order-svc")
	var stdout bytes.Buffer
	if err := run(t.Context(), nil, c.get, &stdout, &stdout); !errors.Is(err, errWarned) {
		t.Fatal(err)
	}
	want := `path     services             old system         reads
/login   100 %    1 ready       0 %    3 ready   not mirrored
/menu      0 %    1 ready     100 %    3 ready   mirrored
/order    10 %    0 ready      90 %    3 ready   mirrored

/login   by IngressRoute pizza, HTTPRoute pizza
/menu    by IngressRoute pizza, HTTPRoute pizza
/order   by IngressRoute pizza, HTTPRoute pizza
header   X-Pizza-Services: always sends a request to the services, never to the
         old system
warning: /order: order-svc gets 10 % of the requests, and has no ready endpoint
next:    resolve the warnings before a weight changes
`
	if diff := cmp.Diff(want, stdout.String()); diff != "" {
		t.Error(diff)
	}
	for line := range strings.Lines(stdout.String()) {
		if len(line) > width+1 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
}

// TestRun checks arguments, and what kubectl answers.
func TestRun(t *testing.T) {
	t.Parallel()
	answer := func(text string, err error) getter {
		return func(context.Context, ...string) ([]byte, error) { return []byte(text), err }
	}
	tests := map[string]struct {
		args  []string
		get   getter
		usage bool
		want  string
	}{
		"unknown_flag": {[]string{"--typo"}, nil, true, "flag provided but not defined"},
		"argument":     {[]string{"pizza"}, nil, true, `unexpected argument "pizza"`},
		"help":         {[]string{"--help"}, nil, false, flag.ErrHelp.Error()},
		"forbidden":    {nil, answer("", errors.New("Error from server (Forbidden)")), false, "(Forbidden)"},
		"no_JSON":      {nil, answer("x", nil), false, "invalid character"},
		"no_objects":   {nil, answer(`{"items":[{"metadata":1}]}`, nil), false, "cannot unmarshal number"},
		"nothing":      {nil, cluster{}.get, false, "there are warnings"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			err := run(t.Context(), test.args, test.get, &out, &out)
			if err == nil || !strings.Contains(err.Error(), test.want) || errors.As(err, new(usageError)) != test.usage {
				t.Error(err)
			}
		})
	}
}

// TestNamespace checks that kubectl is asked for the namespace, or for none.
func TestNamespace(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--namespace", "pizza-prod"}} {
		var out bytes.Buffer
		err := run(t.Context(), args, func(ctx context.Context, got ...string) ([]byte, error) {
			named := slices.Contains(got, "--namespace=pizza-prod")
			if got[0] != "get" || got[2] != "--output=json" || named != (args != nil) || len(got) > 4 {
				t.Errorf("kubectl %q", got)
			}
			return cluster{}.get(ctx, got...)
		}, &out, &out)
		if !errors.Is(err, errWarned) {
			t.Error(err)
		}
	}
}
