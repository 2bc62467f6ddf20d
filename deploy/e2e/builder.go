package main

import (
	"context"
	"fmt"
	stdlog "log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	containerregistry "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/yaml"

	"example.com/pizza/deploy/images/image"
)

// builder does what the release workflow does: it builds the images of a commit,
// pushes and signs them. Its registry is on this machine; nodes get the images by
// the command of E2E_LOAD_IMAGE.
type builder struct {
	*walk
	server   *httptest.Server
	registry string // what comes before the name of each image
	key      string // file of the private key
}

func newBuilder(ctx context.Context, w *walk) (*builder, error) {
	server := httptest.NewServer(containerregistry.New(containerregistry.Logger(stdlog.New(w.log, "registry: ", 0))))
	b := &builder{walk: w, server: server, registry: strings.TrimPrefix(server.URL, "http://") + "/pizza", key: filepath.Join(w.work, "cosign.key")}
	for _, file := range []string{"cosign.key", "cosign.pub"} {
		if err := os.RemoveAll(filepath.Join(w.work, file)); err != nil {
			return nil, err
		}
	}
	_, err := b.cosign(ctx, "generate-key-pair", "--output-key-prefix", filepath.Join(w.work, "cosign"))
	return b, err
}

func (b *builder) close() { b.server.Close() }

// build builds the images of what is checked out, pushes them, and gives them to the
// nodes. It returns their references by digest.
func (b *builder) build(ctx context.Context) (map[string]string, error) {
	digests := make([]string, len(image.Specs()))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(runtime.NumCPU())
	for i, spec := range image.Specs() {
		work.Go(func() error {
			revision, err := image.RevisionOf(ctx, b.repository.checkout, spec)
			if err != nil {
				return err
			}
			index, err := image.Build(ctx, b.repository.checkout, spec, revision, image.Platforms())
			if err != nil {
				return err
			}
			digest, err := index.Digest()
			if err != nil {
				return err
			}
			digests[i] = digest.String()
			tag, err := name.NewTag(b.registry + "/" + spec.Name + ":" + revision.Version())
			if err != nil {
				return err
			}
			if err := remote.WriteIndex(tag, index, remote.WithContext(ctx)); err != nil {
				return err
			}
			archive := filepath.Join(b.work, spec.Name+".tar")
			if err := image.Write(archive, b.registry+"/"+spec.Name+"@"+digest.String(), revision.Version(), index); err != nil {
				return err
			}
			command := append(strings.Fields(b.settings.LoadImage), archive)
			_, err = b.argocd.run(ctx, "", command[0], command[1:]...)
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	all := map[string]string{}
	for i, spec := range image.Specs() {
		all[spec.Name] = b.registry + "/" + spec.Name + "@" + digests[i]
	}
	return all, nil
}

func (b *builder) cosign(ctx context.Context, args ...string) (string, error) {
	return b.argocd.run(ctx, "", "env", append([]string{"COSIGN_PASSWORD=", "COSIGN_YES=true", filepath.Join(b.argocd.bin, "cosign")}, args...)...)
}

// wanted is the digest that the repository says runs in an environment.
func (b *builder) wanted(environment, service string) (string, error) {
	text, err := os.ReadFile(filepath.Join(b.repository.checkout, "deploy", "environments", environment, "images.yaml"))
	if err != nil {
		return "", err
	}
	var images map[string]struct{ Image struct{ Digest string } }
	if err := yaml.Unmarshal(text, &images); err != nil {
		return "", err
	}
	digest := images[service].Image.Digest
	if digest == "" {
		return "", fmt.Errorf("images.yaml of %s names no digest of %s", environment, service)
	}
	return digest, nil
}

// name makes an environment run images.
func (b *builder) name(environment string, images map[string]string) error {
	var text strings.Builder
	text.WriteString("# What runs.\n")
	for _, image := range []string{"login", "menu", "order", "migrate"} {
		_, digest, _ := strings.Cut(images[image], "@")
		key := image
		if image == "migrate" {
			key = "migration"
		}
		fmt.Fprintf(&text, "%s: {image: {tag: \"%s\", digest: %q}}\n", key, "x", digest)
	}
	return os.WriteFile(filepath.Join(b.repository.checkout, "deploy", "environments", environment, "images.yaml"), []byte(text.String()), 0o600)
}
