package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// paths are shared out, each by itself.
var paths = []string{"login", "menu", "order"}

// rule is what an object does with requests of a path.
type rule struct {
	object   string
	path     string // login, menu or order
	place    string // as the object has it, with host and prefix
	header   string // empty if the rule is for requests without it
	value    string // of the header
	shares   map[string]float64
	mirrored bool
}

// rules returns all rules for the paths, and what is wrong with the objects.
func (o *objects) rules() (rules []rule, faults []string) {
	for _, read := range []func() ([]rule, []string){o.ofIngresses, o.ofIngressRoutes, o.ofHTTPRoutes} {
		r, f := read()
		rules, faults = append(rules, r...), append(faults, f...)
	}
	return rules, faults
}

// pathOf returns the path that a prefix of requests belongs to, with and without /api, or nothing.
func pathOf(prefix string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(prefix, "/api"), "/"), "/")
	if slices.Contains(paths, first) {
		return first
	}
	return ""
}

// ofIngresses joins each Ingress with those that have the annotation canary for the same host and path.
func (o *objects) ofIngresses() (rules []rule, faults []string) {
	const prefix = "nginx.ingress.kubernetes.io/canary"
	type place struct{ host, path string }
	type canary struct {
		name, service, header string
		weight                float64
		used                  bool
	}
	canaries := map[place]*canary{}
	each := func(canary bool, do func(i ingress, at place, service string)) {
		for _, i := range o.ingresses {
			if (i.Metadata.Annotations[prefix] == "true") != canary {
				continue
			}
			for _, r := range i.Spec.Rules {
				for _, p := range r.HTTP.Paths {
					if pathOf(p.Path) != "" {
						do(i, place{r.Host, p.Path}, p.Backend.Service.Name)
					}
				}
			}
		}
	}
	each(true, func(i ingress, at place, service string) {
		weight, _ := strconv.ParseFloat(i.Metadata.Annotations[prefix+"-weight"], 64)
		canaries[at] = &canary{i.Metadata.Name, service, i.Metadata.Annotations[prefix+"-by-header"], weight / 100, false}
	})
	each(false, func(i ingress, at place, service string) {
		r := rule{
			object: "Ingress " + i.Metadata.Name, path: pathOf(at.path), place: at.host + at.path,
			shares: map[string]float64{service: 1},
		}
		c := canaries[at]
		if c != nil {
			c.used = true
			r.object += " with " + c.name
			r.shares = map[string]float64{service: 1 - c.weight}
			r.shares[c.service] += c.weight
		}
		rules = append(rules, r)
		if c != nil && c.header != "" {
			for value, service := range map[string]string{"always": c.service, "never": service} {
				r.header, r.value, r.shares = c.header, value, map[string]float64{service: 1}
				rules = append(rules, r)
			}
		}
	})
	for _, c := range canaries {
		if !c.used {
			faults = append(faults, fmt.Sprintf("Ingress %s has no effect where no other Ingress has its path", c.name))
		}
	}
	return rules, faults
}

func (o *objects) ofHTTPRoutes() (rules []rule, faults []string) {
	for _, route := range o.httpRoutes {
		object := "HTTPRoute " + route.Metadata.Name
		served, mirrored := false, false
		for _, from := range route.Spec.Rules {
			shares, _, missing := o.resolve(from.BackendRefs, 0)
			faults = append(faults, absent(object, missing)...)
			mirrors := slices.ContainsFunc(from.Filters, func(f filter) bool { return f.Type == "RequestMirror" })
			for _, m := range from.Matches {
				r := rule{object: object, path: pathOf(m.Path.Value), place: m.Path.Value, shares: shares, mirrored: mirrors}
				if r.path == "" {
					continue
				}
				for _, h := range m.Headers {
					r.header, r.value = h.Name, h.Value
				}
				served, mirrored = true, mirrored || mirrors
				rules = append(rules, r)
			}
		}
		if served {
			faults = append(faults, route.refused(object, mirrored)...)
		}
	}
	return rules, faults
}

// refused returns what the Gateways of a route do not take.
func (r *httpRoute) refused(object string, mirrored bool) (faults []string) {
	for _, parent := range r.Status.Parents {
		for _, c := range parent.Conditions {
			if c.Status == "False" && (c.Type == "Accepted" || c.Type == "ResolvedRefs") {
				faults = append(faults, fmt.Sprintf("%s: its Gateway says that %s is False: %s", object, c.Type, c.Message))
			}
		}
		if mirrored && parent.ControllerName == "traefik.io/gateway-controller" { // Traefik 3.7 accepts the route
			faults = append(faults, object+": Traefik answers 500 to mirrored reads of a Gateway")
		}
	}
	return faults
}

func absent(object string, services []string) (faults []string) {
	for _, name := range services {
		faults = append(faults, fmt.Sprintf("%s: there is no TraefikService %s", object, name))
	}
	return faults
}

var (
	matchedPath = regexp.MustCompile(
		"Path(?:Prefix|Regexp)?\\([`\"]([^`\"]*/(login|menu|order)(?:[/($][^`\"]*)?)[`\"]\\)")
	matchedHeader = regexp.MustCompile("Header\\([`\"]([^`\"]+)[`\"], *[`\"]([^`\"]+)[`\"]\\)")
)

func (o *objects) ofIngressRoutes() (rules []rule, faults []string) {
	for _, route := range o.ingressRoutes {
		object := "IngressRoute " + route.Metadata.Name
		for _, from := range route.Spec.Routes {
			for _, m := range matchedPath.FindAllStringSubmatch(from.Match, -1) {
				r := rule{object: object, path: m[2], place: m[1]}
				if h := matchedHeader.FindStringSubmatch(from.Match); h != nil {
					r.header, r.value = h[1], h[2]
				}
				var missing []string
				r.shares, r.mirrored, missing = o.resolve(from.Services, 0)
				faults = append(faults, absent(object, missing)...)
				rules = append(rules, r)
			}
		}
	}
	return rules, faults
}

// maxDepth ends a circle of TraefikServices.
const maxDepth = 8

// resolve returns the share of each Service, and the names of TraefikServices that do not exist.
func (o *objects) resolve(backends []backend, depth int) (shares map[string]float64, mirrored bool, missing []string) {
	shares = map[string]float64{}
	total := 0
	for _, b := range backends {
		total += b.weight()
	}
	for _, b := range backends {
		share := float64(b.weight()) / float64(max(total, 1))
		if b.Kind != "TraefikService" {
			shares[b.Name] += share
			continue
		}
		at := slices.IndexFunc(o.traefikServices, func(s traefikService) bool { return s.Metadata.Name == b.Name })
		if at < 0 || depth == maxDepth {
			missing = append(missing, b.Name)
			continue
		}
		var inner []backend
		if w := o.traefikServices[at].Spec.Weighted; w != nil {
			inner = w.Services
		}
		if m := o.traefikServices[at].Spec.Mirroring; m != nil {
			inner, mirrored = []backend{m.backend}, mirrored || len(m.Mirrors) > 0
		}
		within, more, lost := o.resolve(inner, depth+1)
		for name, part := range within {
			shares[name] += share * part
		}
		mirrored, missing = mirrored || more, append(missing, lost...)
	}
	return shares, mirrored, missing
}

func (b backend) weight() int {
	if b.Weight == nil {
		return 1
	}
	return *b.Weight
}
