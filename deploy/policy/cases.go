package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// gate contains the inputs of the cases: the chart with digests of signed images, and
// images, all with digests, with other signatures or none.
type gate struct {
	store                            *store
	chart                            *rendered // of prod, with the public key
	keyless                          *rendered // of prod unchanged, where the workflow signs
	elsewhere                        *rendered // of another namespace
	unsigned, foreign, older, nobody string
	exception                        object // for the unsigned image
	sidecars                         sidecars
}

// sidecars are images from elsewhere. The mesh signs all but two of them, and only its
// proxy is listed as its own.
type sidecars struct {
	proxy, similar, below, renamed, ours string
	unsigned                             string // in the repository of the proxy
	listed, unlisted                     string // of a repository without signatures
}

// try is a case: the expected result of Kyverno for each pod, none for "".
type try struct {
	name       string
	policy     object
	pods       []object
	update     bool // the pods exist already, and their specs do not change
	exceptions []object
	expected   string
}

func (g *gate) cases() []try {
	first := g.chart.pods[0]
	one := func(image string) []object { return []object{with("containers", first, image)} }
	prepare := func(image string) []object { return []object{with("initContainers", first, image)} }
	glass := []object{g.exception}
	prod := g.chart.policy
	return []try{
		{name: "signed by the release", policy: prod, pods: g.chart.pods, expected: "pass"},
		{name: "signed by it in the older format", policy: prod, pods: one(g.older), expected: "pass"},
		{name: "unsigned", policy: prod, pods: one(g.unsigned), expected: "fail"},
		{name: "signed by another key", policy: prod, pods: one(g.foreign), expected: "fail"},
		{name: "signed, as a bare tag", policy: prod, pods: one(g.store.host() + "/pizza/order:1"), expected: "fail"},
		{name: "unsigned, to prepare a signed one", policy: prod, pods: prepare(g.unsigned), expected: "fail"},
		{name: "unsigned, to debug a signed one", policy: prod, pods: []object{with("ephemeralContainers", first, g.unsigned)}, expected: "fail"},
		{name: "signed by a key, not by the workflow", policy: g.keyless.policy, pods: g.chart.pods[:1], expected: "fail"},
		{name: "unsigned, running, gets a label", policy: prod, pods: one(g.unsigned), update: true},
		{name: "the registry is away", policy: prod, pods: one(g.nobody), expected: "error"},
		{name: "unsigned, with an exception", policy: prod, pods: one(g.unsigned), exceptions: glass, expected: "skip"},
		{name: "unsigned, with one of another image", policy: prod, pods: one(g.foreign), exceptions: glass, expected: "fail"},
		{name: "unsigned, in another namespace", policy: prod, pods: []object{with("containers", g.elsewhere.pods[0], g.unsigned)}},
		{name: "of the mesh, signed by it", policy: prod, pods: prepare(g.sidecars.proxy), expected: "pass"},
		{name: "the same, where the workflow signs ours", policy: g.keyless.policy, pods: one(g.sidecars.proxy), expected: "pass"},
		{name: "of the mesh, unsigned", policy: prod, pods: prepare(g.sidecars.unsigned), expected: "fail"},
		{name: "ours, signed by the mesh", policy: prod, pods: one(g.sidecars.ours), expected: "fail"},
		{name: "signed by it, of a repository with a longer name", policy: prod, pods: prepare(g.sidecars.similar), expected: "fail"},
		{name: "signed by it, of a repository below", policy: prod, pods: prepare(g.sidecars.below), expected: "fail"},
		{name: "signed by it, of a registry with another name", policy: prod, pods: prepare(g.sidecars.renamed), expected: "fail"},
		{name: "unsigned, listed", policy: prod, pods: prepare(g.sidecars.listed), expected: "pass"},
		{name: "unsigned, of the repository of a listed one", policy: prod, pods: prepare(g.sidecars.unlisted), expected: "fail"},
	}
}

// prepare fills the registry and renders the charts.
func prepare(ctx context.Context, root, bin, keys string) (*gate, error) {
	g := &gate{store: open(bin, keys)}
	if err := g.fill(ctx, root); err != nil {
		g.store.close()
		return nil, err
	}
	return g, nil
}

func (g *gate) fill(ctx context.Context, root string) error {
	public, err := g.store.key(ctx, "release")
	if err != nil {
		return err
	}
	if _, err := g.store.key(ctx, "somebody"); err != nil {
		return err
	}
	mesh, err := g.store.key(ctx, "mesh")
	if err != nil {
		return err
	}
	values := object{}
	for value, repository := range map[string]string{"login": "pizza/login", "menu": "pizza/menu", "order": "pizza/order", "migration": "pizza/migrate"} {
		image, err := g.store.image(ctx, repository, "release")
		if err != nil {
			return err
		}
		_, digest, _ := strings.Cut(image, "@")
		values[value] = object{"image": object{"tag": "1", "digest": digest}}
	}
	if g.unsigned, err = g.store.image(ctx, "unsigned", ""); err != nil {
		return err
	}
	if g.foreign, err = g.store.image(ctx, "foreign", "somebody"); err != nil {
		return err
	}
	if g.older, err = g.store.image(ctx, "older", "release", "--new-bundle-format=false"); err != nil {
		return err
	}
	g.nobody = "127.0.0.1:1/order@sha256:" + strings.Repeat("0", 64) // nothing listens on this port
	if g.exception, err = exception(root, g.unsigned); err != nil {
		return err
	}
	if err := g.pushSidecars(ctx); err != nil {
		return err
	}
	return g.render(ctx, root, values, public, mesh)
}

func (g *gate) pushSidecars(ctx context.Context) error {
	s := &g.sidecars
	for _, image := range []struct {
		name           *string
		repository, by string
	}{
		{&s.proxy, "mesh/proxy", "mesh"},
		{&s.unsigned, "mesh/proxy", ""},
		{&s.similar, "mesh/proxy-evil", "mesh"},
		{&s.below, "mesh/proxy/evil", "mesh"},
		{&s.ours, "pizza/oven", "mesh"},
		{&s.listed, "sql/proxy", ""},
		{&s.unlisted, "sql/proxy", ""},
	} {
		var err error
		if *image.name, err = g.store.image(ctx, image.repository, image.by); err != nil {
			return err
		}
	}
	s.renamed = strings.Replace(s.proxy, "127.0.0.1", "localhost", 1)
	return nil
}

func (g *gate) render(ctx context.Context, root string, values object, public, mesh string) error {
	for _, r := range []struct {
		chart          **rendered
		namespace, key string
	}{{&g.chart, "pizza-prod", public}, {&g.keyless, "pizza-prod", ""}, {&g.elsewhere, "pizza-dev", public}} {
		all := maps.Clone(values)
		all["global"] = object{"image": object{"registry": g.store.host() + "/pizza"}, "imagePolicy": object{
			"publicKey": r.key,
			"signers":   []object{{"repositories": []string{g.store.host() + "/mesh/proxy"}, "publicKey": mesh}},
			"unsigned":  []string{g.sidecars.listed},
		}}
		var err error
		if *r.chart, err = render(ctx, g.store.bin, root, r.namespace, all); err != nil {
			return err
		}
	}
	return nil
}

// exception returns break-glass.yaml, filled in like an operator would.
func exception(root, image string) (object, error) {
	text, err := os.ReadFile(filepath.Join(root, "deploy/policy/break-glass.yaml"))
	if err != nil {
		return nil, err
	}
	var o object
	if err := yaml.Unmarshal(text, &o); err != nil {
		return nil, err
	}
	spec := o["spec"].(object)
	spec["expiresAt"] = time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	conditions := spec["matchConditions"].([]any)
	this := conditions[len(conditions)-1].(object)
	before, rest, found := strings.Cut(this["expression"].(string), "['")
	if !found {
		return nil, fmt.Errorf("break-glass.yaml names no image: %s", this["expression"])
	}
	_, after, _ := strings.Cut(rest, "']")
	this["expression"] = before + "['" + image + "']" + after
	return o, nil
}
