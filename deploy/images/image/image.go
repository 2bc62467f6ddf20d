// Package image makes the container images of this repository without a Docker
// daemon: a static program, and beside it what a program expects of its system.
//
//	go build ─▶ one layer ─▶ image per platform ─▶ index ─▶ OCI archive (.tar)
//
// The same sources give the same digest, on any machine with the same Go: nothing
// in an image is of the moment or of the place of its making. What names a commit
// is the last one that touched what this image is made of (Inputs), so that a commit
// leaves the images of other services as they are.
package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// User is who the programs run as: a number, so that Kubernetes can see that it
// is not root; the same as in distroless images.
const User = "65532"

// Spec says what an image is made of.
type Spec struct {
	Name        string // the last part of the repository's name
	Package     string // of the program, below the root of the repository
	Folder      string // of the module of the program, where its Dockerfile is
	Title       string
	Description string
	Ports       []string
}

// Dockerfile is for those who build the image with Docker.
func (s Spec) Dockerfile() string { return s.Folder + "/Dockerfile" }

// Specs are all images.
func Specs() []Spec {
	service := func(name, description string) Spec {
		return Spec{
			Name: name, Package: "services/" + name + "/cmd/" + name, Folder: "services/" + name,
			Title: "pizza " + name, Description: description, Ports: []string{"8000/tcp", "9000/tcp", "9100/tcp"},
		}
	}
	return []Spec{
		service("login", "Members, passwords and access tokens of the pizza backend"),
		service("menu", "The catalog of the pizza backend"),
		service("order", "Orders of the pizza backend"),
		{
			Name: "migrate", Package: "migrations/cmd/migrate", Folder: "migrations",
			Title: "pizza migrate", Description: "Roles, schema and seed data of the pizza backend",
		},
	}
}

// Platforms are those of each image.
func Platforms() []v1.Platform {
	return []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}
}

// Build makes the image of a spec for each platform from the repository at root.
func Build(ctx context.Context, root string, s Spec, r Revision, platforms []v1.Platform) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range platforms {
		img, err := build(ctx, root, s, r, p)
		if err != nil {
			return nil, fmt.Errorf("%s for %s: %w", s.Name, p, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &p}})
	}
	return index, nil
}

func build(ctx context.Context, root string, s Spec, r Revision, p v1.Platform) (v1.Image, error) {
	program, err := compile(ctx, root, s.Package, p)
	if err != nil {
		return nil, err
	}
	files, err := layer(s.Name, program)
	if err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.Append(base, mutate.Addendum{
		Layer: l, History: v1.History{Created: v1.Time{Time: r.Time}, CreatedBy: "make images"},
	})
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Created, config.OS, config.Architecture = v1.Time{Time: r.Time}, p.OS, p.Architecture
	config.Config = v1.Config{
		User: User + ":" + User, WorkingDir: "/", Entrypoint: []string{"/" + s.Name},
		Env:    []string{"PATH=/", "SSL_CERT_FILE=" + certificates, "SERVICE_VERSION=" + r.Version()},
		Labels: labels(s, r),
	}
	for _, port := range s.Ports {
		if config.Config.ExposedPorts == nil {
			config.Config.ExposedPorts = map[string]struct{}{}
		}
		config.Config.ExposedPorts[port] = struct{}{}
	}
	return mutate.ConfigFile(img, config)
}

// labels are the pre-defined keys of the OCI image specification.
func labels(s Spec, r Revision) map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":       s.Title,
		"org.opencontainers.image.description": s.Description,
		"org.opencontainers.image.created":     r.Time.Format(time.RFC3339),
		"org.opencontainers.image.revision":    r.Commit,
		"org.opencontainers.image.version":     r.Version(),
	}
}

// compile returns the static program of a package.
func compile(ctx context.Context, root, pkg string, p v1.Platform) ([]byte, error) {
	folder, err := os.MkdirTemp("", "pizza-image-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	program := filepath.Join(folder, "program")
	// The commit is not stamped into the program: it would differ with every one.
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", tags, "-ldflags=-s -w -buildid=", "-o", program, "./"+pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), environment(p)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build ./%s: %w\n%s", pkg, err, bytes.TrimSpace(out))
	}
	return os.ReadFile(program)
}

// tags are those of programs in images, which have no other time zones.
const tags = "-tags=timetzdata"

func environment(p v1.Platform) []string {
	return []string{"CGO_ENABLED=0", "GOOS=" + p.OS, "GOARCH=" + p.Architecture, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS="}
}

const certificates = "/etc/ssl/certs/ca-certificates.crt"

// layer returns all files of an image as a tar: the program, a user with a name
// for libraries that ask for one, the roots of the web's certificates for TLS to
// databases and brokers, and a place for temporary files.
func layer(name string, program []byte) ([]byte, error) {
	var certs bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil { // a file cannot say it
			if err := pem.Encode(&certs, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
				return nil, err
			}
		}
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	var errs []error
	add := func(path string, mode int64, content []byte) {
		h := &tar.Header{Name: path, Mode: mode, Size: int64(len(content)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if content == nil {
			h.Typeflag = tar.TypeDir
		}
		errs = append(errs, w.WriteHeader(h))
		_, err := w.Write(content)
		errs = append(errs, err)
	}
	add("etc/", 0o755, nil)
	add("etc/passwd", 0o644, []byte("nonroot:x:"+User+":"+User+":nonroot:/:/sbin/nologin\n"))
	add("etc/group", 0o644, []byte("nonroot:x:"+User+":\n"))
	add("etc/ssl/", 0o755, nil)
	add("etc/ssl/certs/", 0o755, nil)
	add(certificates[1:], 0o644, certs.Bytes())
	add("tmp/", 0o1777, nil)
	add(name, 0o755, program)
	return out.Bytes(), errors.Join(append(errs, w.Close())...)
}
