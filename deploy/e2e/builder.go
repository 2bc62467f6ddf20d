package main

import (
	"context"
	"errors"
	stdlog "log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	ociregistry "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"

	"example.com/pizza/deploy/delivery"
	"example.com/pizza/deploy/images/image"
)

// builder does what the release workflow does: it builds the images of a commit,
// pushes and signs them. Its registry is on this machine; nodes get the images by
// the command of E2E_LOAD_IMAGE.
type builder struct {
	*walk
	server   *httptest.Server
	evidence delivery.Evidence // with a key of this walk
}

func newBuilder(ctx context.Context, w *walk) (*builder, error) {
	server := httptest.NewServer(ociregistry.New(ociregistry.Logger(stdlog.New(w.log, "registry: ", 0))))
	key := filepath.Join(w.work, "cosign")
	b := &builder{walk: w, server: server, evidence: delivery.Evidence{
		Cosign: filepath.Join(w.argocd.bin, "cosign"), Registry: strings.TrimPrefix(server.URL, "http://") + "/pizza", Key: key + ".pub",
	}}
	for _, file := range []string{key + ".key", key + ".pub"} {
		if err := os.RemoveAll(file); err != nil {
			return nil, err
		}
	}
	if err := os.Setenv("COSIGN_PASSWORD", ""); err != nil {
		return nil, err
	}
	_, err := w.argocd.run(ctx, "", b.evidence.Cosign, "generate-key-pair", "--output-key-prefix", key)
	return b, err
}

func (b *builder) close() { b.server.Close() }

// build builds the images of what is checked out, pushes and signs them, and gives
// them to the nodes.
func (b *builder) build(ctx context.Context) ([]delivery.Image, error) {
	folder := filepath.Join(b.repository.checkout, archives)
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return nil, err
	}
	work, building := errgroup.WithContext(ctx)
	work.SetLimit(runtime.NumCPU())
	for _, spec := range image.Specs() {
		work.Go(func() error { return b.one(building, spec, filepath.Join(folder, spec.Name+".tar")) })
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	images, err := delivery.Archives(folder)
	for _, i := range images {
		err = errors.Join(err, b.evidence.Sign(ctx, i))
	}
	return images, err
}

// archives is where make images leaves them.
const archives = ".local/images"

func (b *builder) one(ctx context.Context, spec image.Spec, archive string) error {
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
	tag, err := name.NewTag(b.evidence.Registry + "/" + spec.Name + ":" + revision.Version())
	if err != nil {
		return err
	}
	if err := remote.WriteIndex(tag, index, remote.WithContext(ctx)); err != nil {
		return err
	}
	// The node shall know it by the name that pods have, which is that with the digest.
	if err := image.Write(archive, tag.Context().Digest(digest.String()).String(), revision.Version(), index); err != nil {
		return err
	}
	command := append(strings.Fields(b.settings.LoadImage), archive)
	_, err = b.argocd.run(ctx, "", command[0], command[1:]...)
	return err
}

// images reads what the repository says that an environment runs.
func (b *builder) images(environment string) ([]delivery.Image, error) {
	file := filepath.Join(b.repository.checkout, delivery.Path(environment))
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return delivery.Parse(file, text)
}

// wanted is the digest that a service should run in an environment.
func (b *builder) wanted(environment, service string) (string, error) {
	images, err := b.images(environment)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(images, func(i delivery.Image) bool { return i.Key == service })
	return images[i].Digest, nil
}

// name has an environment run images without more ado, as at the very beginning.
func (b *builder) name(environment string, images []delivery.Image) error {
	file := filepath.Join(b.repository.checkout, delivery.Path(environment))
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, delivery.Replace(text, images), 0o600)
}

// delivery runs the command that make promote and its like run.
func (b *builder) delivery(ctx context.Context, args ...string) (string, error) {
	args = append([]string{"COSIGN_PASSWORD=", filepath.Join(b.argocd.bin, "delivery")}, args...)
	return b.argocd.run(ctx, "", "env", append(args, "-root", b.repository.checkout, "-cosign", b.evidence.Cosign, "-key", b.evidence.Key)...)
}
