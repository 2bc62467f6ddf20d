package images

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"testing/fstest"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const certificates = "/etc/ssl/certs/ca-certificates.crt"

// localBase puts a base image into ko's cache, where ko looks before it asks a registry, and returns its name.
// It has the parts of the distroless image that programs need, and the same configuration.
func localBase(cache string) (string, error) {
	files, err := baseFiles()
	if err != nil {
		return "", err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil }
	layer, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return "", err
	}
	path, err := layout.Write(filepath.Join(cache, "img"), empty.Index)
	if err != nil {
		return "", err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, architecture := range []string{"amd64", "arm64"} {
		platform := v1.Platform{OS: "linux", Architecture: architecture}
		image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
		if image, err = mutate.AppendLayers(image, layer); err != nil {
			return "", err
		}
		config, err := image.ConfigFile()
		if err != nil {
			return "", err
		}
		config = config.DeepCopy()
		config.OS, config.Architecture = platform.OS, architecture
		config.Config = v1.Config{User: "65532", WorkingDir: "/home/nonroot", Env: []string{
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "SSL_CERT_FILE=" + certificates,
		}}
		if image, err = mutate.ConfigFile(image, config); err != nil {
			return "", err
		}
		if err := path.AppendImage(image); err != nil { // ko looks for it by its own digest, too
			return "", err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	digest, err := index.Digest()
	return "pizza.invalid/base@" + digest.String(), errors.Join(err, path.AppendIndex(index))
}

// baseFiles returns the files of the base image, as a tar: users, CA certificates, and a folder for temporary files.
func baseFiles() ([]byte, error) {
	var roots bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil { // a file cannot express constraints
			if err := pem.Encode(&roots, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
				return nil, err
			}
		}
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	err := w.AddFS(fstest.MapFS{
		"etc/passwd":     {Mode: 0o644, Data: []byte("nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n")},
		"etc/group":      {Mode: 0o644, Data: []byte("nonroot:x:65532:\n")},
		certificates[1:]: {Mode: 0o644, Data: roots.Bytes()},
		"home/nonroot":   {Mode: fs.ModeDir | 0o755},
		"tmp":            {Mode: fs.ModeDir | fs.ModeSticky | 0o777},
	})
	return out.Bytes(), errors.Join(err, w.Close())
}
