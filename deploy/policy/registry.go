package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// store is a registry on this machine, with the keys of signers.
type store struct {
	server *httptest.Server
	bin    string // folder of the tools
	keys   string // folder of the keys
}

func open(bin, keys string) *store {
	quiet := registry.Logger(log.New(io.Discard, "", 0))
	return &store{server: httptest.NewServer(registry.New(quiet)), bin: bin, keys: keys}
}

func (s *store) close() { s.server.Close() }

func (s *store) host() string { return strings.TrimPrefix(s.server.URL, "http://") }

// image pushes an image, signed or unsigned, and returns its name with its digest.
func (s *store) image(ctx context.Context, repository, by string, options ...string) (string, error) {
	digest, err := s.push(ctx, repository)
	if err != nil {
		return "", err
	}
	name := s.host() + "/" + repository + "@" + digest
	if by == "" {
		return name, nil
	}
	// Like tools/delivery.sh sign with a key.
	args := []string{"sign", "--yes", "--key", filepath.Join(s.keys, by+".key"), "--use-signing-config=false", "--tlog-upload=false"}
	return name, s.cosign(ctx, append(append(args, options...), name)...)
}

// push pushes an image for two platforms, like the release, and returns its digest.
func (s *store) push(ctx context.Context, repository string) (string, error) {
	index := v1.ImageIndex(empty.Index)
	for _, architecture := range []string{"amd64", "arm64"} {
		image, err := random.Image(64, 1)
		if err != nil {
			return "", err
		}
		platform := &v1.Platform{OS: "linux", Architecture: architecture}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
	}
	reference, err := name.ParseReference(s.host() + "/" + repository + ":1")
	if err != nil {
		return "", err
	}
	if err := remote.WriteIndex(reference, index, remote.WithContext(ctx)); err != nil {
		return "", fmt.Errorf("push %s: %w", repository, err)
	}
	digest, err := index.Digest()
	return digest.String(), err
}

// key creates a key pair and returns the public key (PEM).
func (s *store) key(ctx context.Context, who string) (string, error) {
	if err := s.cosign(ctx, "generate-key-pair", "--output-key-prefix", filepath.Join(s.keys, who)); err != nil {
		return "", err
	}
	public, err := os.ReadFile(filepath.Join(s.keys, who+".pub"))
	return string(public), err
}

func (s *store) cosign(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "cosign"), args...)
	cmd.Env = append(os.Environ(), "COSIGN_PASSWORD=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cosign %s: %w\n%s", args[0], err, out)
	}
	return nil
}
