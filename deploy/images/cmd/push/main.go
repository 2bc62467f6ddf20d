// Command push takes the images that make images built to a registry; see package
// registry. Beside each archive it writes what it pushed, for those who sign and
// publish it: NAME.pushed with the words NAME VERSION REPOSITORY@DIGEST.
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
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"example.com/pizza/deploy/images/registry"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "push:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("push", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = fmt.Fprintln(stderr, "usage: push [flags] [login|menu|order|migrate ...]\n\nPushes the archives in a folder, all of them by default, as who is logged in (docker login).")
		flags.PrintDefaults()
	}
	folder := flags.String("folder", ".local/images", "folder of the archives")
	to := flags.String("registry", "", "what comes before the name of each image, as ghcr.io/example/pizza")
	github := flags.String("github", "", "file to append repository=… and digest=… of the last image to, as output of a step of GitHub Actions ($GITHUB_OUTPUT)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *to == "" {
		return errors.New("to which registry? (REGISTRY=… tools/delivery.sh push)")
	}
	archives, err := choose(*folder, flags.Args())
	if err != nil {
		return err
	}
	for _, archive := range archives {
		image := strings.TrimSuffix(filepath.Base(archive), ".tar")
		p, err := registry.Push(ctx, archive, strings.TrimSuffix(*to, "/")+"/"+image, remote.WithAuthFromKeychain(authn.DefaultKeychain))
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s %s %s\n", image, p.Version, p.Reference())
		if err := os.WriteFile(strings.TrimSuffix(archive, ".tar")+".pushed", []byte(line), 0o600); err != nil {
			return err
		}
		if _, err := io.WriteString(stdout, line); err != nil {
			return err
		}
		if *github != "" {
			if err := output(*github, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// choose returns the archives of images, or all that there are.
func choose(folder string, names []string) ([]string, error) {
	if len(names) == 0 {
		all, err := filepath.Glob(filepath.Join(folder, "*.tar"))
		if err == nil && len(all) == 0 {
			err = fmt.Errorf("there are no archives in %s: make images builds them", folder)
		}
		return all, err
	}
	var archives []string
	for _, name := range names {
		archives = append(archives, filepath.Join(folder, name+".tar"))
	}
	return archives, nil
}

func output(path string, p registry.Pushed) (err error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = fmt.Fprintf(f, "repository=%s\ndigest=%s\n", p.Repository, p.Digest)
	return err
}
