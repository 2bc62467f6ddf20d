package registry_test

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"example.com/pizza/deploy/images/image"
	pizza "example.com/pizza/deploy/images/registry"
)

// archive is that of a small image with a title, of a commit.
func archive(t *testing.T, title, commit string) (path string, digest v1.Hash) {
	t.Helper()
	s := image.Spec{Name: "hello", Package: "deploy/images/image/hello", Folder: "deploy/images", Title: title}
	index, err := image.Build(t.Context(), "../../..", s, image.Revision{Commit: commit, Time: time.Unix(0, 0)}, image.Platforms())
	if err != nil {
		t.Fatal(err)
	}
	if digest, err = index.Digest(); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "hello.tar")
	if err := image.Write(path, "example.com/hello:any", "any", index); err != nil {
		t.Fatal(err)
	}
	return path, digest
}

const commit = "0123456789abcdef0123456789abcdef01234567"

func TestPush(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	repository := strings.TrimPrefix(server.URL, "http://") + "/pizza/hello"
	path, digest := archive(t, "hello", commit)

	want := pizza.Pushed{Repository: repository, Version: "01234567", Digest: digest.String()}
	for _, when := range []string{"first", "again"} {
		if got, err := pizza.Push(t.Context(), path, repository); err != nil || got != want || got.Reference() != repository+"@"+digest.String() {
			t.Fatalf("%s: %+v, want %+v, %v", when, got, want, err)
		}
	}
	// The registry holds it whole, under its version.
	tag, err := name.NewTag(repository + ":01234567")
	if err != nil {
		t.Fatal(err)
	}
	there, err := remote.Index(tag)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := there.Digest(); got != digest || err != nil {
		t.Errorf("the registry holds %s, want %s, %v", got, digest, err)
	}
	if err := validate.Index(there); err != nil {
		t.Error(err)
	}

	other, _ := archive(t, "goodbye", commit)
	dirty, _ := archive(t, "hello", commit+"-dirty")
	broken := filepath.Join(t.TempDir(), "broken.tar")
	if err := os.WriteFile(broken, []byte("not a tar"), 0o600); err != nil {
		t.Fatal(err)
	}
	for says, c := range map[string]struct{ path, repository string }{
		"another image already": {other, repository},
		"not committed":         {dirty, repository},
		"broken.tar":            {broken, repository},
		"no such file":          {"nothing.tar", repository},
		"repository":            {path, "UPPER CASE"},
		"connect":               {path, "127.0.0.1:1/pizza/hello"},
	} {
		if got, err := pizza.Push(t.Context(), c.path, c.repository); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s to %s: %+v, %v, want an error about %q", c.path, c.repository, got, err, says)
		}
	}
}
