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

// builder does the work of the release workflow: it builds, pushes and signs the
// images and the chart of a commit. Its registry is on this machine. Nodes get the images
// through the command in E2E_LOAD_IMAGE.
type builder struct {
	*walk
	server   *httptest.Server
	evidence delivery.Evidence // with keys for this run
}

func newBuilder(ctx context.Context, w *walk) (*builder, error) {
	server := httptest.NewServer(ociregistry.New(ociregistry.Logger(stdlog.New(w.log, "registry: ", 0))))
	releaser, verifier := filepath.Join(w.work, "releaser"), filepath.Join(w.work, "verifier")
	b := &builder{walk: w, server: server, evidence: delivery.Evidence{
		Cosign: filepath.Join(w.argocd.bin, "cosign"), Registry: strings.TrimPrefix(server.URL, "http://") + "/pizza",
		Releaser: delivery.Signer{Key: releaser + ".pub"}, Verifier: delivery.Signer{Key: verifier + ".pub"},
	}}
	err := os.Setenv("COSIGN_PASSWORD", "")
	for _, key := range []string{releaser, verifier} {
		err = errors.Join(err, os.RemoveAll(key+".key"), os.RemoveAll(key+".pub"))
		if err == nil {
			_, err = w.argocd.run(ctx, "", b.evidence.Cosign, "generate-key-pair", "--output-key-prefix", key)
		}
	}
	return b, err
}

func (b *builder) close() { b.server.Close() }

// build builds, pushes and signs the images of the checkout, and loads them onto
// the nodes.
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
	if err != nil {
		return nil, err
	}
	chart, err := b.chart(ctx)
	images = append(images, chart...)
	for _, i := range images {
		err = errors.Join(err, b.evidence.Sign(ctx, i))
	}
	return images, err
}

// chart packages and pushes the chart.
func (b *builder) chart(ctx context.Context) ([]delivery.Image, error) {
	checkout := b.repository.checkout
	_, err := b.argocd.run(ctx, "", "env", "-C", checkout, "PLAIN_HTTP=1", "tools/push-charts.sh", filepath.Join(b.argocd.bin, "helm"), b.evidence.Registry+"/charts")
	if err != nil {
		return nil, err
	}
	return delivery.PushedChart(filepath.Join(checkout, ".local", "charts", "pizza.pushed"))
}

// archives is the output folder of make images.
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
	// Pods refer to the image by digest, so the node needs that name.
	if err := image.Write(archive, tag.Context().Digest(digest.String()).String(), revision.Version(), index); err != nil {
		return err
	}
	command := append(strings.Fields(b.settings.LoadImage), archive)
	_, err = b.argocd.run(ctx, "", command[0], command[1:]...)
	return err
}

// images returns the images of an environment according to the repository.
func (b *builder) images(environment string) ([]delivery.Image, error) {
	file := filepath.Join(b.repository.checkout, delivery.Path(environment))
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return delivery.Parse(file, text)
}

// wanted returns the digest that a service should run in an environment.
func (b *builder) wanted(environment, service string) (string, error) {
	images, err := b.images(environment)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(images, func(i delivery.Image) bool { return i.Key == service })
	return images[i].Digest, nil
}

// name sets the images of an environment without checks, for the initial state.
func (b *builder) name(environment string, images []delivery.Image) error {
	file := filepath.Join(b.repository.checkout, delivery.Path(environment))
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, delivery.Replace(text, images), 0o600)
}

// delivery runs the command behind make promote and the related targets.
func (b *builder) delivery(ctx context.Context, args ...string) (string, error) {
	args = append([]string{"COSIGN_PASSWORD=", filepath.Join(b.argocd.bin, "delivery")}, args...)
	return b.argocd.run(ctx, "", "env", append(args, "-root", b.repository.checkout, "-cosign", b.evidence.Cosign,
		"-key", b.evidence.Releaser.Key, "-verifier-key", b.evidence.Verifier.Key)...)
}
