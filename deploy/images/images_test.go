package images_test

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"debug/elf"
	"errors"
	"io"
	"log"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"example.com/pizza/deploy/images"
)

const (
	root = "../.."
	ko   = root + "/.local/bin/ko"
)

var hello = images.Image{Name: "hello", Package: "services/hello/cmd/hello", Description: "Says hello, and more"}

// workspace writes a small repository with one program, which is built like ours, and returns its folder.
func workspace(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	sums := regexp.MustCompile(`(?m)^github.com/google/uuid v1.6.0.*\n`).FindAll([]byte(text(t, root, "deploy/go.sum")), -1)
	for name, content := range map[string]string{
		".gitignore":                       "/.local/\n",
		".ko.yaml":                         text(t, root, ".ko.yaml"),
		"go.work":                          "go 1.26.0\n\nuse (\n\t./pkg\n\t./services/hello\n)\n",
		"pkg/go.mod":                       "module example.com/pizza/pkg\n\ngo 1.26.0\n",
		"pkg/say/say.go":                   "package say\n\nconst Hello = \"hello\"\n",
		"pkg/other/other.go":               "package other\n",
		"services/hello/go.mod":            "module example.com/pizza/services/hello\n\ngo 1.26.0\n\nrequire github.com/google/uuid v1.6.0\n",
		"services/hello/go.sum":            string(bytes.Join(sums, nil)),
		"services/hello/cmd/hello/text":    "!",
		"services/hello/cmd/hello/main.go": "package main\n\nimport (\n\t_ \"embed\"\n\n\t\"github.com/google/uuid\"\n\n\t\"example.com/pizza/pkg/say\"\n)\n\n//go:embed text\nvar text string\n\nfunc main() { println(say.Hello, text, uuid.NewString()) }\n",
	} {
		write(t, filepath.Join(folder, name), content)
	}
	commit(t, folder)
	return folder
}

func commit(t *testing.T, folder string) {
	t.Helper()
	script := "git init -q && git add . && git -c user.name=x -c user.email=x@example.com commit -q --allow-empty -m x"
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func text(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// build returns the folder of the image of a workspace, and the image.
func build(t *testing.T, workspace string) (string, v1.ImageIndex) {
	t.Helper()
	folder := filepath.Join(workspace, images.Folder)
	if err := (images.Ko{Program: ko}).Build(t.Context(), workspace, folder, hello); err != nil {
		t.Fatalf("%v (make .local/bin/ko builds it)", err)
	}
	index, _, err := images.Read(filepath.Join(folder, hello.Name))
	if err != nil {
		t.Fatal(err)
	}
	return folder, index
}

func digest(t *testing.T, index v1.ImageIndex) v1.Hash {
	t.Helper()
	d, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestBuild(t *testing.T) {
	t.Parallel()
	folder, index := build(t, workspace(t))
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 2 {
		t.Fatalf("%+v, %v", manifest, err)
	}
	for i, want := range []struct {
		architecture string
		machine      elf.Machine
	}{{"amd64", elf.EM_X86_64}, {"arm64", elf.EM_AARCH64}} {
		image, err := index.Image(manifest.Manifests[i].Digest)
		if err != nil {
			t.Fatal(err)
		}
		c, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		config := v1.Config{
			User: "65532:65532", WorkingDir: "/home/nonroot", Entrypoint: []string{"/ko-app/hello"},
			Env: []string{
				"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/ko-app",
				"SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt", "KO_DATA_PATH=/var/run/ko",
			},
			Labels: map[string]string{"org.opencontainers.image.title": "pizza hello", "org.opencontainers.image.description": hello.Description},
		}
		if diff := cmp.Diff(config, c.Config); diff != "" || c.OS+"/"+c.Architecture != "linux/"+want.architecture {
			t.Errorf("for %s/%s\n%s", c.OS, c.Architecture, diff)
		}
		files := contents(t, image)
		names := []string{
			"etc/group", "etc/passwd", "etc/ssl/certs/ca-certificates.crt", "home/nonroot/", "ko-app/hello", "tmp/", "var/run/ko/",
		}
		if diff := cmp.Diff(names, slices.Sorted(maps.Keys(files))); diff != "" {
			t.Error(diff)
		}
		if !strings.Contains(files["etc/passwd"], ":65532:") || !strings.Contains(files["etc/ssl/certs/ca-certificates.crt"], "BEGIN CERTIFICATE") {
			t.Error("there is no user, or no root for TLS")
		}
		program, err := elf.NewFile(strings.NewReader(files["ko-app/hello"]))
		if err != nil {
			t.Fatal(err)
		}
		if libraries, _ := program.ImportedLibraries(); program.Machine != want.machine || len(libraries) > 0 {
			t.Errorf("a program for %s that needs %q", program.Machine, libraries)
		}
		sbom := text(t, folder, "hello-linux-"+want.architecture+".spdx.json")
		if !strings.Contains(sbom, manifest.Manifests[i].Digest.String()) || !strings.Contains(sbom, `"pkg:golang/github.com/google/uuid@v1.6.0`) {
			t.Errorf("the SBOM says\n%s", sbom)
		}
	}
}

// contents returns the files of an image by name, and its empty folders.
func contents(t *testing.T, image v1.Image) map[string]string {
	t.Helper()
	all := mutate.Extract(image)
	defer func() { _ = all.Close() }()
	files := map[string]string{}
	for r := tar.NewReader(all); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			maps.DeleteFunc(files, func(name, _ string) bool {
				parent := func(other string) bool { return other != name && strings.HasPrefix(other, name) }
				return strings.HasSuffix(name, "/") && slices.ContainsFunc(slices.Collect(maps.Keys(files)), parent)
			})
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.Trim(h.Name, "/")
		if h.Typeflag == tar.TypeDir {
			name += "/"
		}
		files[name] = string(content)
	}
}

// The digest of an image depends on its content, not on where, when, and from which commit it was built.
func TestReproducible(t *testing.T) {
	t.Parallel()
	first, second := workspace(t), workspace(t)
	_, index := build(t, first)
	was := digest(t, index)
	for _, step := range []struct {
		file, content string
		changed       bool
	}{
		{"README.md", "other", false},
		{"pkg/other/other.go", "package other // not in it\n", false},
		{"services/hello/cmd/hello/main_test.go", "package main\n", false},
		{"pkg/say/say.go", "package say\n\nconst Hello = \"hi\"\n", true},
		{"services/hello/cmd/hello/text", "?", true},
	} {
		write(t, filepath.Join(second, step.file), step.content)
		commit(t, second)
		_, index := build(t, second)
		is := digest(t, index)
		if (is != was) != step.changed {
			t.Errorf("after %s: %s, was %s, want it changed: %t", step.file, is, was, step.changed)
		}
		was = is
	}
}

func TestBuildFails(t *testing.T) {
	t.Parallel()
	folder := workspace(t)
	write(t, filepath.Join(folder, "pkg/say/say.go"), "package say\n")
	err := images.Ko{Program: ko}.Build(t.Context(), folder, t.TempDir(), hello)
	if err == nil || !strings.Contains(err.Error(), "undefined: say.Hello") {
		t.Errorf("error %v", err)
	}
	// A program larger than the limit for nodes.
	noise := make([]byte, 26e6)
	_, _ = rand.Read(noise)
	write(t, filepath.Join(folder, "pkg/say/say.go"), "package say\n\nconst Hello = \"\"\n")
	write(t, filepath.Join(folder, "services/hello/cmd/hello/text"), string(noise))
	err = images.Ko{Program: ko}.Build(t.Context(), folder, t.TempDir(), hello)
	if err == nil || !strings.Contains(err.Error(), "larger than 25000000 bytes") {
		t.Errorf("error %v", err)
	}
}

// stored returns the folder of a random image with a version, and the image.
func stored(t *testing.T, version string) (string, v1.ImageIndex) {
	t.Helper()
	index, err := random.Index(64, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "hello")
	if _, err := layout.Write(folder, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: index})); err != nil {
		t.Fatal(err)
	}
	if err := images.Label(folder, "example.com/hello:any", version); err != nil {
		t.Fatal(err)
	}
	return folder, index
}

func TestPush(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	repository := strings.TrimPrefix(server.URL, "http://") + "/pizza/hello"
	folder, index := stored(t, "01234567")
	for _, when := range []string{"first", "again"} {
		got, err := images.Push(t.Context(), folder, repository)
		if want := repository + "@" + digest(t, index).String(); err != nil || got.String() != want {
			t.Fatalf("%s: %s, want %s, %v", when, got, want, err)
		}
		if there, err := remote.Get(got.Tag("01234567")); err != nil || there.Digest != digest(t, index) {
			t.Errorf("%s: the registry holds %+v, %v", when, there, err)
		}
	}
	other, _ := stored(t, "01234567")
	dirty, _ := stored(t, "01234567-dirty")
	broken, index := stored(t, "01234567")
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(broken, "blobs/sha256", manifest.Manifests[0].Digest.Hex), "{}")
	for says, c := range map[string]struct{ folder, repository string }{
		"another image already": {other, repository},
		"not committed":         {dirty, repository},
		"hello: ":               {broken, repository},
		"no such file":          {"nothing", repository},
		"repository":            {folder, "UPPER CASE"},
		"connect":               {folder, "127.0.0.1:1/pizza/hello"},
	} {
		if got, err := images.Push(t.Context(), c.folder, c.repository); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s to %s: %+v, %v, want an error about %q", c.folder, c.repository, got, err, says)
		}
	}
}

// An archive is an OCI layout, whose image nodes know by its last name.
func TestArchive(t *testing.T) {
	t.Parallel()
	folder, index := stored(t, "1")
	if err := images.Label(folder, "example.com/hello:2", "2"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "hello.tar")
	if err := images.Archive(folder, file); err != nil {
		t.Fatal(err)
	}
	unpacked := t.TempDir()
	r := tar.NewReader(strings.NewReader(text(t, file)))
	for h, err := r.Next(); !errors.Is(err, io.EOF); h, err = r.Next() {
		if err != nil {
			t.Fatal(err)
		}
		if content, err := io.ReadAll(r); err != nil {
			t.Fatal(err)
		} else if h.Typeflag == tar.TypeReg {
			write(t, filepath.Join(unpacked, h.Name), string(content))
		}
	}
	got, version, err := images.Read(unpacked)
	if err != nil || version != "2" || digest(t, got) != digest(t, index) {
		t.Errorf("version %s, %v", version, err)
	}
	if outer := text(t, unpacked, "index.json"); !strings.Contains(outer, `"io.containerd.image.name": "example.com/hello:2"`) {
		t.Errorf("index.json is\n%s", outer)
	}
}

// Dockerfiles and ko use the same compiler and base image, each pinned by digest.
func TestBases(t *testing.T) {
	t.Parallel()
	base := regexp.MustCompile(`(?m)^defaultBaseImage: (gcr\.io/distroless/static-\S+@sha256:[0-9a-f]{64})$`).FindStringSubmatch(text(t, root, ".ko.yaml"))
	toolchain := regexp.MustCompile(`(?m)^toolchain go(.+)$`).FindStringSubmatch(text(t, root, "go.work"))
	if base == nil || toolchain == nil {
		t.Fatalf("base image %q, toolchain %q", base, toolchain)
	}
	want := regexp.MustCompile(`^FROM --platform=\$BUILDPLATFORM golang:` + regexp.QuoteMeta(toolchain[1]) + `-\w+@sha256:[0-9a-f]{64} AS build\nFROM ` + regexp.QuoteMeta(base[1]) + "$")
	for _, i := range images.All() {
		file := filepath.Join(strings.SplitN(i.Package, "/cmd/", 2)[0], "Dockerfile")
		lines := regexp.MustCompile(`(?m)^FROM .*$`).FindAllString(text(t, root, file), -1)
		if got := strings.Join(lines, "\n"); !want.MatchString(got) {
			t.Errorf("%s stands on\n%s\nwant\n%s", file, got, want)
		}
	}
}
