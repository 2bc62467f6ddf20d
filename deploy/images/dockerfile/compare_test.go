package dockerfile_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"example.com/pizza/deploy/images/dockerfile"
	"example.com/pizza/deploy/images/image"
)

const root = "../../.."

// Every image has a Dockerfile, and all of them stand on the same two base images,
// each named by its content. Their compiler is that of the workspace.
func TestBases(t *testing.T) {
	t.Parallel()
	work, err := os.ReadFile(filepath.Join(root, "go.work"))
	if err != nil {
		t.Fatal(err)
	}
	toolchain := regexp.MustCompile(`(?m)^toolchain go(.+)$`).FindSubmatch(work)
	if toolchain == nil {
		t.Fatal("go.work says no version of the compiler")
	}
	pinned := regexp.MustCompile(`^[a-z0-9./-]+:[a-z0-9.-]+@sha256:[0-9a-f]{64}$`)
	var first []string
	for _, s := range image.Specs() {
		content, err := os.ReadFile(filepath.Join(root, s.Dockerfile()))
		if err != nil {
			t.Fatal(err)
		}
		bases := dockerfile.Bases(content)
		if first == nil {
			first = bases
		}
		if diff := cmp.Diff(first, bases); diff != "" || len(bases) != 2 {
			t.Errorf("%s has other bases: %s", s.Dockerfile(), diff)
		}
		if !strings.HasPrefix(bases[0], "golang:"+string(toolchain[1])+"-") {
			t.Errorf("%s: %s, go.work says %s", s.Dockerfile(), bases[0], toolchain[1])
		}
		if i := slices.IndexFunc(bases, func(base string) bool { return !pinned.MatchString(base) }); i >= 0 {
			t.Errorf("%s: %s has no digest", s.Dockerfile(), bases[i])
		}
	}
}

func TestBasesOf(t *testing.T) {
	t.Parallel()
	got := dockerfile.Bases([]byte("FROM --platform=$BUILDPLATFORM golang:1 AS build\nRUN x\nFROM build\nfrom scratch as files\nFROM debian\nCOPY --from=build a b\nFROM golang:1\n"))
	if diff := cmp.Diff([]string{"golang:1", "debian"}, got); diff != "" {
		t.Error(diff)
	}
}

// Compare sees each difference that a chart, a node or a reader of labels would.
func TestCompare(t *testing.T) {
	t.Parallel()
	want := build(t, spec())
	if err := dockerfile.Compare(want, want, "hello"); err != nil {
		t.Errorf("the same image: %v", err)
	}
	for name, c := range map[string]struct {
		change func(c *v1.ConfigFile)
		says   string
	}{
		"architecture":    {func(c *v1.ConfigFile) { c.Architecture = "riscv64" }, "platform: linux/riscv64"},
		"user":            {func(c *v1.ConfigFile) { c.Config.User = "root" }, "user: root, want 65532:65532"},
		"working_folder":  {func(c *v1.ConfigFile) { c.Config.WorkingDir = "/home/nonroot" }, "working folder: /home/nonroot"},
		"entry_point":     {func(c *v1.ConfigFile) { c.Config.Entrypoint = []string{"/bin/sh"} }, "entry point: [/bin/sh]"},
		"arguments":       {func(c *v1.ConfigFile) { c.Config.Cmd = []string{"up"} }, "arguments: [up]"},
		"ports":           {func(c *v1.ConfigFile) { c.Config.ExposedPorts = nil }, "ports: [], want [8000/tcp]"},
		"certificates":    {func(c *v1.ConfigFile) { c.Config.Env = nil }, "certificates: , want /etc/ssl"},
		"label":           {func(c *v1.ConfigFile) { delete(c.Config.Labels, "org.opencontainers.image.title") }, "label org.opencontainers.image.title"},
		"label_of_others": {func(c *v1.ConfigFile) { c.Config.Labels["io.buildah.version"] = "1" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, err := want.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			config = config.DeepCopy()
			c.change(config)
			got, err := mutate.ConfigFile(want, config)
			if err != nil {
				t.Fatal(err)
			}
			err = dockerfile.Compare(got, want, "hello")
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("says %v, want %q", err, c.says)
			}
		})
	}
	if err := dockerfile.Compare(want, want, "goodbye"); err == nil || !strings.Contains(err.Error(), "no /goodbye") {
		t.Errorf("a program that is missing: %v", err)
	}
}

// Programs that differ are told with what each was built of.
func TestComparePrograms(t *testing.T) {
	t.Parallel()
	s := spec()
	s.Package = "deploy/images/cmd/images"
	err := dockerfile.Compare(build(t, s), build(t, spec()), "hello")
	if err == nil || !strings.Contains(err.Error(), "deploy/images/cmd/images") || !strings.Contains(err.Error(), "deploy/images/image/hello") {
		t.Errorf("error %v", err)
	}
}

func spec() image.Spec {
	return image.Spec{
		Name: "hello", Package: "deploy/images/image/hello", Folder: "deploy/images",
		Title: "hello", Description: "says hello", Ports: []string{"8000/tcp"},
	}
}

func build(t *testing.T, s image.Spec) v1.Image {
	t.Helper()
	platform := v1.Platform{OS: "linux", Architecture: "amd64"}
	revision := image.Revision{Commit: strings.Repeat("01234567", 5), Time: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	index, err := image.Build(t.Context(), root, s, revision, []v1.Platform{platform})
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	img, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return img
}
