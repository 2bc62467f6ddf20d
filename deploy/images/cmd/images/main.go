// Command images builds the container images of this repository; see package
// image. It needs Go and git, and neither Docker nor a registry.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"example.com/pizza/deploy/images/image"
	"example.com/pizza/deploy/images/materials"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

// maxBytes is the most that an image may weigh, compressed.
const maxBytes = 25e6

// built is one image, as --json tells it.
type built struct {
	Name      string           `json:"name"`
	Reference string           `json:"reference"`
	Digest    string           `json:"digest"`
	Revision  string           `json:"revision"`
	Archive   string           `json:"archive"`
	Bytes     map[string]int64 `json:"bytes"` // compressed, by platform
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("images", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = fmt.Fprintln(stderr, "usage: images [flags] [login|menu|order|migrate ...]\n\nBuilds the images, all of them by default, as OCI archives, each with its bill of materials.")
		flags.PrintDefaults()
	}
	root := flags.String("root", ".", "the repository")
	out := flags.String("out", ".local/images", "folder for the archives, below root")
	registry := flags.String("registry", "registry.example.com/pizza", "what comes before the name of each image")
	tag := flags.String("tag", "", "tag of all images (default {branch}-{shortsha} of the checkout)")
	asJSON := flags.Bool("json", false, "print JSON")
	if err := flags.Parse(args); err != nil {
		return err
	}
	specs, err := choose(flags.Args())
	if err != nil {
		return err
	}
	if *tag == "" {
		if *tag, err = image.Tag(ctx, *root); err != nil {
			return err
		}
	}
	folder := filepath.Join(*root, *out)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	all := make([]built, len(specs))
	work, ctx := errgroup.WithContext(ctx)
	for i, s := range specs {
		work.Go(func() (err error) {
			all[i], err = build(ctx, *root, folder, *registry, *tag, s)
			if err == nil {
				_, err = fmt.Fprintf(stderr, "built %s\n", s.Name)
			}
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	if *asJSON {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		return e.Encode(all)
	}
	return table(stdout, all)
}

func choose(names []string) ([]image.Spec, error) {
	all := image.Specs()
	if len(names) == 0 {
		return all, nil
	}
	var chosen []image.Spec
	for _, name := range names {
		i := slices.IndexFunc(all, func(s image.Spec) bool { return s.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no image %q", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func build(ctx context.Context, root, folder, registry, tag string, s image.Spec) (built, error) {
	revision, err := image.RevisionOf(ctx, root, s)
	if err != nil {
		return built{}, err
	}
	index, err := image.Build(ctx, root, s, revision, image.Platforms())
	if err != nil {
		return built{}, err
	}
	digest, err := index.Digest()
	if err != nil {
		return built{}, err
	}
	sizes, err := sizes(index)
	if err != nil {
		return built{}, err
	}
	for platform, n := range sizes {
		if n > maxBytes {
			return built{}, fmt.Errorf("%s for %s has %d bytes, more than the %d that a node shall wait for", s.Name, platform, n, int64(maxBytes))
		}
	}
	b := built{
		Name: s.Name, Reference: strings.TrimSuffix(registry, "/") + "/" + s.Name + ":" + tag, Digest: digest.String(),
		Revision: revision.Commit, Archive: filepath.Join(folder, s.Name+".tar"), Bytes: sizes,
	}
	if err := image.Write(b.Archive, b.Reference, tag, index); err != nil {
		return built{}, err
	}
	return b, list(filepath.Join(folder, s.Name+".cdx.json"), index, s.Name)
}

// list writes the bill of materials beside the archive.
func list(path string, index v1.ImageIndex, name string) (err error) {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	return materials.Write(out, index, name)
}

// sizes are what a node downloads, by platform.
func sizes(index v1.ImageIndex) (map[string]int64, error) {
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	bytes := map[string]int64{}
	for _, m := range manifest.Manifests {
		img, err := index.Image(m.Digest)
		if err != nil {
			return nil, err
		}
		content, err := img.Manifest()
		if err != nil {
			return nil, err
		}
		for _, l := range content.Layers {
			bytes[m.Platform.String()] += l.Size
		}
	}
	return bytes, nil
}

// table is for people.
func table(w io.Writer, all []built) error {
	platforms := image.Platforms()
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { _, _ = fmt.Fprintln(t, strings.Join(cells, "\t")) }
	head := []string{"IMAGE"}
	for _, p := range platforms {
		head = append(head, strings.ToUpper(p.Architecture))
	}
	row(append(head, "DIGEST", "ARCHIVE")...)
	for _, b := range all {
		cells := []string{b.Reference}
		for _, p := range platforms {
			cells = append(cells, fmt.Sprintf("%.1f MB", float64(b.Bytes[p.String()])/1e6))
		}
		row(append(cells, b.Digest, b.Archive)...)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, "\nTo load them: ctr -n k8s.io images import FILE, docker load -i FILE, or kind load image-archive FILE.")
	return err
}
