// Package registry takes the archives that make images wrote to a registry.
//
//	make images ─▶ login.tar ─▶ tests on the cluster ─▶ Push ─▶ registry/login:VERSION@DIGEST
//
// What was tested is what is pushed, byte for byte; nothing is built again.
package registry

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Pushed is an image in a registry.
type Pushed struct {
	Repository string // with the registry, as ghcr.io/example/pizza/login
	Version    string // of the image, which is its tag
	Digest     string // of its index
}

// Reference names the image by its content.
func (p Pushed) Reference() string { return p.Repository + "@" + p.Digest }

// Push pushes the image of an archive to a repository, with the image's version as
// its tag. A tag is of one image forever: Push refuses to move one, and to push
// what was built of changes that are not committed. Once more, it changes nothing.
func Push(ctx context.Context, archive, repository string, options ...remote.Option) (p Pushed, err error) {
	folder, err := os.MkdirTemp("", "pizza-push-")
	if err != nil {
		return Pushed{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	index, version, err := Read(archive, folder)
	if err != nil {
		return Pushed{}, err
	}
	if strings.HasSuffix(version, "-dirty") {
		return Pushed{}, fmt.Errorf("%s was built of changes that are not committed", archive)
	}
	digest, err := index.Digest()
	if err != nil {
		return Pushed{}, err
	}
	tag, err := name.NewTag(repository+":"+version, name.StrictValidation)
	if err != nil {
		return Pushed{}, err
	}
	p = Pushed{Repository: tag.Repository.Name(), Version: version, Digest: digest.String()}
	options = append(options, remote.WithContext(ctx))
	switch there, err := remote.Head(tag, options...); {
	case missing(err):
		return p, remote.WriteIndex(tag, index, options...)
	case err != nil:
		return Pushed{}, err
	case there.Digest != digest:
		return Pushed{}, fmt.Errorf("%s is another image already: %s, not %s", tag, there.Digest, digest)
	}
	return p, nil
}

func missing(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound
}

// Read unpacks an archive into a folder and returns the one index in it, which reads
// from there, and the version that its images carry.
func Read(archive, folder string) (index v1.ImageIndex, version string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", archive, err)
		}
	}()
	if err := unpack(archive, folder); err != nil {
		return nil, "", err
	}
	outer, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		return nil, "", err
	}
	manifest, err := outer.IndexManifest()
	if err != nil {
		return nil, "", err
	}
	if len(manifest.Manifests) != 1 {
		return nil, "", fmt.Errorf("it holds %d images", len(manifest.Manifests))
	}
	index, err = outer.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		return nil, "", err
	}
	platforms, err := index.IndexManifest()
	if err != nil {
		return nil, "", err
	}
	if len(platforms.Manifests) == 0 {
		return nil, "", errors.New("it is for no platform")
	}
	image, err := index.Image(platforms.Manifests[0].Digest)
	if err != nil {
		return nil, "", err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, "", err
	}
	version = config.Config.Labels["org.opencontainers.image.version"]
	if version == "" {
		return nil, "", errors.New("its image says no version")
	}
	return index, version, nil
}

// unpack writes the files of a tar into a folder.
func unpack(archive, folder string) (err error) {
	in, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !filepath.IsLocal(h.Name) {
			return fmt.Errorf("%s is outside", h.Name)
		}
		target := filepath.Join(folder, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			if err := os.MkdirAll(target, 0o755); err != nil {
				return err
			}
			continue
		}
		if err := write(target, r); err != nil {
			return err
		}
	}
}

func write(path string, from io.Reader) (err error) {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, from)
	return err
}
