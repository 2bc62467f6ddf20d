// Command dockerfiles builds the Dockerfiles of this repository and checks what
// comes out; see package dockerfile. It needs Go, git and buildah, and neither
// Docker, a registry nor to be root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"example.com/pizza/deploy/images/dockerfile"
	"example.com/pizza/deploy/images/image"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "dockerfiles:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("dockerfiles", flag.ContinueOnError)
	flags.SetOutput(stderr)
	folder := flags.String("folder", ".local/dockerfiles", "where buildah keeps images and caches")
	pull := flags.Bool("pull", false, "pull the base images that the Dockerfiles name, in place of stand-ins made here")
	verbose := flags.Bool("v", false, "show what buildah says")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	absolute, err := filepath.Abs(*folder)
	if err != nil {
		return err
	}
	log := io.Discard
	if *verbose {
		log = stderr
	}
	platform := v1.Platform{OS: "linux", Architecture: runtime.GOARCH}
	b, err := dockerfile.New(ctx, dockerfile.Options{Root: ".", Folder: absolute, Platform: platform, Pull: *pull, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close(ctx)) }()
	var errs []error
	for _, s := range image.Specs() {
		start := time.Now()
		if err := check(ctx, b, s, platform); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.Dockerfile(), err))
			continue
		}
		_, err := fmt.Fprintf(stdout, "%-26s the image of make images, and it runs (%.0f s)\n", s.Dockerfile(), time.Since(start).Seconds())
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// check builds one Dockerfile, and compares and runs its image.
func check(ctx context.Context, b *dockerfile.Builder, s image.Spec, platform v1.Platform) error {
	revision, err := image.RevisionOf(ctx, ".", s)
	if err != nil {
		return err
	}
	// First, because the modules that it downloads are those of the Dockerfile's build.
	index, err := image.Build(ctx, ".", s, revision, []v1.Platform{platform})
	if err != nil {
		return err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	want, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		return err
	}
	got, err := b.Build(ctx, s, revision)
	if err != nil {
		return err
	}
	if err := dockerfile.Compare(got, want, s.Name); err != nil {
		return err
	}
	// Without settings every program of ours says which it misses, and stops.
	said, code, err := b.Run(ctx, s)
	if err != nil {
		return err
	}
	if code == 0 || !strings.HasPrefix(said, s.Name+": ") {
		return fmt.Errorf("without settings it ended with %d and said\n%s", code, said)
	}
	return nil
}
