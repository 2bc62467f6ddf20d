package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// pageFile has the commands that walks run.
const pageFile = "docs/install.md"

// block is a fenced block of the page. Its name is in the comment above it: <!-- walk: NAME; … -->.
type block struct{ name, text string }

var fenced = regexp.MustCompile("(?ms)^<!-- walk: ([a-z]+)[^\n]* -->\n```[a-z]+\n(.*?)^```$")

// page returns the named blocks of the page, in order.
func page(root string) ([]block, error) {
	text, err := os.ReadFile(filepath.Join(root, pageFile))
	var all []block
	for _, m := range fenced.FindAllStringSubmatch(string(text), -1) {
		all = append(all, block{m[1], m[2]})
	}
	return all, err
}

// standIns returns the replacements in a block, as pairs, for what needs a cloud.
func standIns(name string) []string {
	switch name {
	case "images": // there is no registry for the base image
		return []string{"PULL=1 ", ""}
	case "database": // a Helm that was built from source knows no version of Kubernetes
		return []string{"helm template ", "helm template --plain-http --kube-version 1.33.0 "}
	case "install":
		return []string{"helm upgrade ", "helm upgrade --plain-http "}
	case "argocd":
		return []string{"{type: oci, ", `{type: oci, insecureOCIForceHttp: "true", `}
	default:
		return nil
	}
}

// replaced applies the stand-ins, and fails if the page has lost what one of them is for.
func (b block) replaced(namespace string) (string, error) {
	pairs := standIns(b.name)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(b.text, pairs[i]) {
			return "", fmt.Errorf("%s: there is a stand-in for %q, which is not in the block %s", pageFile, pairs[i], b.name)
		}
	}
	return strings.NewReplacer(append(pairs, "pizza-prod", namespace)...).Replace(b.text), nil
}

// shell runs blocks like one shell of a person: in a folder, each with the variables of those before it.
type shell struct {
	cluster
	folder string
}

// state is the file with the variables.
const state = ".local/walk.env"

func (s shell) sh(ctx context.Context, text string) error {
	if err := os.MkdirAll(filepath.Join(s.folder, ".local"), 0o755); err != nil {
		return err
	}
	_, err := s.run(ctx, "", "env", "-C", s.folder, "sh", "-euc",
		"[ ! -f "+state+" ] || . ./"+state+"\nset -a\n"+text+"\nexport -p > "+state)
	return err
}

func (s shell) export(ctx context.Context, variables map[string]string) error {
	var text strings.Builder
	for name, value := range variables {
		fmt.Fprintf(&text, "%s='%s'\n", name, value)
	}
	return s.sh(ctx, text.String())
}

func (s shell) block(ctx context.Context, b block) error {
	text, err := b.replaced(s.namespace)
	if err != nil {
		return err
	}
	return s.sh(ctx, text)
}

// followPage runs the commands of the page for Argo CD. Values with the addresses of this machine are the stand-in for
// make adopt.
func (w *walk) followPage(ctx context.Context) error {
	blocks, err := page(w.root)
	if err != nil {
		return err
	}
	n := slices.IndexFunc(blocks, func(b block) bool { return b.name == "argocd" })
	if n < 0 {
		return errors.New(pageFile + " has no commands for Argo CD")
	}
	here := strings.NewReplacer("https://github.com/example/pizza", w.repository.url(),
		"ghcr.io/example/pizza", w.builder.evidence.Registry, "https://api.github.com", w.argocd.team.URL)
	folder, chart := filepath.Join(w.work, "adopted"), filepath.Join("deploy", "argocd")
	values := filepath.Join(chart, "values.yaml")
	text, err := os.ReadFile(filepath.Join(w.root, values))
	err = errors.Join(err, os.RemoveAll(folder), // of a walk before
		os.CopyFS(filepath.Join(folder, chart), os.DirFS(filepath.Join(w.root, chart))),
		os.CopyFS(filepath.Join(folder, "deploy", "environments"), os.DirFS(filepath.Join(w.repository.checkout, "deploy", "environments"))),
		os.WriteFile(filepath.Join(folder, values), []byte(here.Replace(string(text))), 0o600))
	if err != nil {
		return err
	}
	s := shell{w.argocd.cluster, folder}
	err = s.export(ctx, map[string]string{
		"REGISTRY": w.builder.evidence.Registry, "REGISTRY_USER": "me", "REGISTRY_TOKEN": "none",
		"TEAM_WEBHOOK": w.argocd.team.URL, "GITHUB_TOKEN": "none",
	})
	if err != nil {
		return err
	}
	return s.block(ctx, blocks[n])
}
