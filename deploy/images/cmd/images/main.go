// Command images builds or pushes the named images; see package images and tools/delivery.sh. For each image
// that it pushes, it writes NAME.pushed with the words NAME VERSION REPOSITORY@DIGEST, for the signing step.
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
	"slices"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"example.com/pizza/deploy/images"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("images", flag.ContinueOnError)
	folder := flags.String("folder", images.Folder, "folder of the images")
	push := flags.Bool("push", false, "push what was built before, as who is logged in (docker login)")
	registry := flags.String("registry", "registry.example.com/pizza", "what comes before the name of each image")
	tag := flags.String("tag", "dev", "tag of each image on nodes")
	version := flags.String("version", "dev", "tag of each image in a registry")
	ko := images.Ko{Program: ".local/bin/ko"}
	flags.BoolVar(&ko.Pull, "pull", false, "use the base image of .ko.yaml, and not the local one")
	if err := flags.Parse(args); err != nil {
		return err
	}
	for _, name := range flags.Args() {
		n := slices.IndexFunc(images.All(), func(i images.Image) bool { return i.Name == name })
		if n < 0 {
			return fmt.Errorf("there is no image %q", name)
		}
		target, repository := filepath.Join(*folder, name), strings.TrimSuffix(*registry, "/")+"/"+name
		if *push {
			if err := pushed(ctx, stdout, target, repository); err != nil {
				return err
			}
			continue
		}
		if err := ko.Build(ctx, ".", *folder, images.All()[n]); err != nil {
			return err
		}
		if err := images.Label(target, repository+":"+*tag, *version); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(stdout, "%s:%s in %s\n", repository, *tag, target); err != nil {
			return err
		}
	}
	return nil
}

func pushed(ctx context.Context, stdout io.Writer, folder, repository string) error {
	_, version, err := images.Read(folder)
	if err != nil {
		return err
	}
	reference, err := images.Push(ctx, folder, repository, remote.WithAuthFromKeychain(authn.DefaultKeychain))
	if err != nil {
		return err
	}
	line := fmt.Sprintf("%s %s %s\n", filepath.Base(folder), version, reference)
	if err := os.WriteFile(folder+".pushed", []byte(line), 0o600); err != nil {
		return err
	}
	_, err = io.WriteString(stdout, line)
	return err
}
