package delivery_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"example.com/pizza/deploy/delivery"
	"example.com/pizza/deploy/images/image"
	"example.com/pizza/deploy/images/registry"
)

// Evidence is of one digest: whoever may write to the registry can hang what was
// signed for one image on another, and gains nothing by it.
func TestEvidenceOfAnotherDigest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		what       string
		hang, find func(delivery.Image) error
	}{
		{
			"signature", func(i delivery.Image) error { return w.Sign(t.Context(), i) },
			func(i delivery.Image) error { return w.Signed(t.Context(), i) },
		},
		{
			"checks", func(i delivery.Image) error {
				return w.Attest(t.Context(), i, delivery.Checks{Environment: "dev", Checks: []string{"smoke"}, Time: time.Now()})
			},
			func(i delivery.Image) error { return w.Passed(t.Context(), i, "dev") },
		},
	} {
		good, bad := w.image("order"), w.image("order")
		w.must(c.hang(good))
		w.must(c.find(good))
		if moved := w.move(good, bad); moved != 1 {
			t.Fatalf("%s: %d pieces of evidence were moved", c.what, moved)
		}
		const digest = "provided artifact digest does not match any digest in statement"
		if err := c.find(bad); err == nil || !strings.Contains(err.Error(), digest) {
			t.Errorf("the %s of another image: error %v", c.what, err)
		}
	}
}

// move hangs what a registry keeps beside one image on another one.
func (w *world) move(from, to delivery.Image) int {
	w.Helper()
	reference := func(digest string) name.Digest {
		ref, err := name.NewDigest(w.Registry + "/" + from.Repository() + "@" + digest)
		w.must(err)
		return ref
	}
	subject, err := remote.Get(reference(to.Digest))
	w.must(err)
	all := w.beside(from)
	for _, d := range all {
		evidence, err := remote.Image(reference(d.Digest.String()))
		w.must(err)
		moved, ok := mutate.Subject(evidence, subject.Descriptor).(v1.Image)
		if !ok {
			w.Fatalf("%s is no longer a manifest", d.Digest)
		}
		digest, err := moved.Digest()
		w.must(err)
		w.must(remote.Write(reference(digest.String()), moved))
	}
	return len(all)
}

// beside is what a registry keeps of an image.
func (w *world) beside(i delivery.Image) []v1.Descriptor {
	w.Helper()
	ref, err := name.NewDigest(w.Registry + "/" + i.Repository() + "@" + i.Digest)
	w.must(err)
	beside, err := remote.Referrers(ref)
	w.must(err)
	all, err := beside.IndexManifest()
	w.must(err)
	return all.Manifests
}

// What make images writes is what tools/delivery.sh push uploads, cosign signs and dev runs: the
// digest in the archive is the one that all of them know.
func TestArchives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tag := w.touch("services/order/cmd/order/a.go", "price the crust")
	folder := t.TempDir()
	if _, err := delivery.Archives(folder); err == nil || !strings.Contains(err.Error(), "there is no image in "+folder) {
		t.Errorf("nothing built: error %v", err)
	}
	file := w.archive(folder, "order")
	built, err := delivery.Archives(folder)
	w.must(err)
	pushed, err := registry.Push(t.Context(), file, w.Registry+"/order")
	w.must(err)
	if pushed.Version != tag {
		t.Errorf("version %s, want that of the commit, %s", pushed.Version, tag)
	}
	if diff := cmp.Diff([]delivery.Image{{Key: "order", Tag: pushed.Version, Digest: pushed.Digest}}, built); diff != "" {
		t.Fatal(diff)
	}
	if _, err := delivery.Publish(t.Context(), w.Repository, w.Evidence, built); err == nil || !strings.Contains(err.Error(), "is not signed") {
		t.Errorf("before it is signed: error %v", err)
	}
	w.must(w.Sign(t.Context(), built[0]))
	_, err = delivery.Publish(t.Context(), w.Repository, w.Evidence, built)
	w.must(err)
	if diff := cmp.Diff(built[0], w.images("dev")[2]); diff != "" {
		t.Error(diff)
	}

	for _, c := range []struct {
		name  string
		spoil func() // one after the other
		want  string
	}{
		{"of changes that are not committed", func() {
			w.must(os.WriteFile(filepath.Join(w.Root, "services/order/cmd/order/a.go"), []byte("package main\n"), 0o600))
			w.archive(folder, "order")
		}, "built of changes that are not committed (" + tag + "-dirty)"},
		{"cut off", func() { w.must(os.Truncate(file, 1000)) }, "order.tar: unexpected EOF"},
		{"empty", func() { w.must(os.Truncate(file, 0)) }, "order.tar: not the archive of one image"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.spoil()
			if got, err := delivery.Archives(folder); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, error %v, want %q", got, err, c.want)
			}
		})
	}
}

// archive builds an image of the repository as make images does, for one platform.
func (w *world) archive(folder, key string) string {
	w.Helper()
	for _, s := range image.Specs() {
		if s.Name != key {
			continue
		}
		revision, err := image.RevisionOf(w.Context(), w.Root, s)
		w.must(err)
		index, err := image.Build(w.Context(), w.Root, s, revision, image.Platforms()[:1])
		w.must(err)
		file := filepath.Join(folder, key+".tar")
		w.must(image.Write(file, "example.com/pizza/"+key+":"+revision.Version(), revision.Version(), index))
		return file
	}
	w.Fatalf("there is no image %s", key)
	return ""
}
