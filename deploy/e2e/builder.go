package main

import (
	"context"
	"errors"
	"io"
	stdlog "log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	ociregistry "github.com/google/go-containerregistry/pkg/registry"
	"golang.org/x/sync/errgroup"

	"example.com/pizza/deploy/delivery"
	"example.com/pizza/deploy/images"
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
	server := newRegistry(w.log)
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

// newRegistry starts a registry on this machine.
func newRegistry(log io.Writer) *httptest.Server {
	return httptest.NewServer(ociregistry.New(ociregistry.Logger(stdlog.New(log, "registry: ", 0))))
}

func (b *builder) close() { b.server.Close() }

// build builds, pushes and signs the images of the checkout, and loads them onto the nodes.
func (b *builder) build(ctx context.Context) ([]delivery.Image, error) {
	folder := filepath.Join(b.repository.checkout, images.Folder)
	version, err := b.repository.git(ctx, "describe", "--always", "--dirty", "--abbrev=8", "--exclude=*")
	if err != nil {
		return nil, err
	}
	work, building := errgroup.WithContext(ctx)
	work.SetLimit(runtime.NumCPU())
	for _, image := range images.All() {
		work.Go(func() error { return b.one(building, image, folder, version) })
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	built, err := delivery.Built(folder)
	if err != nil {
		return nil, err
	}
	chart, err := b.chart(ctx)
	built = append(built, chart...)
	for _, i := range built {
		err = errors.Join(err, b.evidence.Sign(ctx, i))
	}
	return built, err
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

func (b *builder) one(ctx context.Context, image images.Image, folder, version string) error {
	if err := (images.Ko{Program: ko(b.root)}).Build(ctx, b.repository.checkout, folder, image); err != nil {
		return err
	}
	folder = filepath.Join(folder, image.Name)
	if err := images.Label(folder, image.Name, version); err != nil {
		return err
	}
	pushed, err := images.Push(ctx, folder, b.evidence.Registry+"/"+image.Name)
	if err != nil {
		return err
	}
	// Pods refer to the image by digest, so the node needs that name.
	return load(ctx, b.argocd.cluster, b.settings, folder, pushed.String(), version)
}

// ko is the program that make .local/bin/ko builds.
func ko(root string) string { return filepath.Join(root, ".local", "bin", "ko") }

// load gives the nodes the image in a folder under a name.
func load(ctx context.Context, c cluster, s Settings, folder, reference, version string) error {
	if err := images.Label(folder, reference, version); err != nil {
		return err
	}
	archive := folder + ".tar"
	if err := images.Archive(folder, archive); err != nil {
		return err
	}
	command := append(strings.Fields(s.LoadImage), archive)
	_, err := c.run(ctx, "", command[0], command[1:]...)
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
