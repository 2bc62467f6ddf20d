// Package images builds the container images with ko, as configured in .ko.yaml, and pushes them to registries.
//
//	sources ─▶ ko ─▶ folder/NAME (OCI layout), folder/NAME-*.spdx.json ─▶ nodes of a test cluster
//	                                    └─▶ Push ─▶ registry/NAME:VERSION@DIGEST
//
// Equal sources give an equal digest, regardless of where and when they are built. So comparing digests finds the
// changed images, and no image contains its commit.
package images

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/match"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// Image is an image that ko builds from one program.
type Image struct {
	Name        string // the last part of the repository's name
	Package     string // of the program, below the root of the repository
	Description string
}

// All returns all images.
func All() []Image {
	return []Image{
		{"login", "services/login/cmd/login", "Members, passwords and access tokens of the pizza backend"},
		{"menu", "services/menu/cmd/menu", "The catalog of the pizza backend"},
		{"order", "services/order/cmd/order", "Orders of the pizza backend"},
		{"migrate", "migrations/cmd/migrate", "Roles, schema and seed data of the pizza backend"},
	}
}

// User runs the programs. It is numeric, so that Kubernetes can verify that it is not root.
const User = "65532:65532"

// Folder is the folder that make images writes, relative to the root of the repository.
const Folder = ".local/images"

// Ko configures the build.
type Ko struct {
	Program string // usually .local/bin/ko
	Pull    bool   // use the base image of .ko.yaml instead of the equivalent local one
}

// Build builds an image of the repository at root into folder/NAME, and its SBOMs next to it.
func (k Ko) Build(ctx context.Context, root, folder string, i Image) (err error) {
	root, err1 := filepath.Abs(root)
	folder, err2 := filepath.Abs(folder)
	program, err3 := filepath.Abs(k.Program)
	cache, err4 := os.MkdirTemp("", "ko-")
	defer func() { err = errors.Join(err, os.RemoveAll(cache)) }()
	target := filepath.Join(folder, i.Name)
	old, err5 := filepath.Glob(target + "-*.spdx.json")
	for _, path := range append(old, target) {
		err5 = errors.Join(err5, os.RemoveAll(path))
	}
	if err := errors.Join(err1, err2, err3, err4, err5, os.MkdirAll(folder, 0o755)); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, "build", "--push=false", "--oci-layout-path", i.Name, "--sbom-dir", ".",
		"--image-user", User, "--image-label", "org.opencontainers.image.title=pizza "+i.Name,
		"--image-label", `"org.opencontainers.image.description=`+i.Description+`"`, "example.com/pizza/"+i.Package)
	cmd.Dir = folder // because ko refuses a layout whose path has capital letters
	cmd.Env = append(os.Environ(), "GOWORK="+filepath.Join(root, "go.work"), "KO_CONFIG_PATH="+filepath.Join(root, ".ko.yaml"),
		"KOCACHE="+cache, "KO_DOCKER_REPO=", "SOURCE_DATE_EPOCH=0", "KO_DATA_DATE_EPOCH=0")
	if !k.Pull {
		base, err := localBase(cache)
		if err != nil {
			return err
		}
		cmd.Env = append(cmd.Env, "KO_DEFAULTBASEIMAGE="+base)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ko build %s: %w\n%s", i.Package, err, out)
	}
	return checkSize(target)
}

// maxLayer limits the compressed size of a layer, because nodes wait for its download.
const maxLayer = 25e6

func checkSize(folder string) error {
	blobs, err := os.ReadDir(filepath.Join(folder, "blobs", "sha256"))
	for _, b := range blobs {
		if i, err := b.Info(); err != nil || i.Size() > maxLayer {
			return errors.Join(err, fmt.Errorf("%s: a layer is larger than %d bytes", folder, int64(maxLayer)))
		}
	}
	return err
}

// Label stores the version of an image, and its reference on nodes, next to the image and outside of its digest.
func Label(folder, reference, version string) error {
	index, _, err := Read(folder)
	if err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	return layout.Path(folder).ReplaceIndex(index, match.Digests(digest), layout.WithAnnotations(map[string]string{
		"io.containerd.image.name": reference, // for containerd, and Docker with its image store
		versionOf:                  version,
	}))
}

const versionOf = "org.opencontainers.image.ref.name"

// Read returns the image in a folder, if it is complete, and its version.
func Read(folder string) (index v1.ImageIndex, version string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", folder, err)
		}
	}()
	outer, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		return nil, "", err
	}
	manifest, err := outer.IndexManifest()
	if err != nil {
		return nil, "", err
	}
	if len(manifest.Manifests) != 1 {
		return nil, "", fmt.Errorf("it holds %d images, want 1", len(manifest.Manifests))
	}
	if index, err = outer.ImageIndex(manifest.Manifests[0].Digest); err != nil {
		return nil, "", err
	}
	return index, manifest.Manifests[0].Annotations[versionOf], validate.Index(index)
}

// Archive writes the image in a folder as a file for ctr images import, docker load and kind load image-archive.
func Archive(folder, file string) (err error) {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w := tar.NewWriter(out)
	return errors.Join(w.AddFS(os.DirFS(folder)), w.Close())
}

// Push pushes the image in a folder to a repository under its version, and returns its reference there. Tags are
// immutable: Push refuses to move one, and to push a build of uncommitted changes.
func Push(ctx context.Context, folder, repository string, options ...remote.Option) (name.Digest, error) {
	index, version, err := Read(folder)
	if err != nil {
		return name.Digest{}, err
	}
	if strings.HasSuffix(version, Dirty) {
		return name.Digest{}, fmt.Errorf("%s was built of changes that are not committed", folder)
	}
	tag, err := name.NewTag(repository+":"+version, name.StrictValidation)
	if err != nil {
		return name.Digest{}, err
	}
	digest, err := index.Digest()
	if err != nil {
		return name.Digest{}, err
	}
	options = append(options, remote.WithContext(ctx))
	there, err := remote.Head(tag, options...)
	var answer *transport.Error
	switch {
	case errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound:
		err = remote.WriteIndex(tag, index, options...)
	case err == nil && there.Digest != digest:
		err = fmt.Errorf("%s is another image already: %s, not %s", tag, there.Digest, digest)
	}
	return tag.Digest(digest.String()), err
}

// Dirty is the version suffix of a build with uncommitted changes.
const Dirty = "-dirty"
