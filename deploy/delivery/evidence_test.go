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
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"example.com/pizza/deploy/delivery"
	"example.com/pizza/deploy/images"
)

// Evidence is bound to one digest: an attacker with write access to the registry gains
// nothing by copying signatures from one image to another.
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
			func(i delivery.Image) error { return w.Passed(t.Context(), i, "dev", delivery.Image{}) },
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

// move copies the signatures and attestations of one image to another.
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

// beside returns the signatures and attestations of an image in a registry.
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

// The digest of an image built by make images is the one that tools/delivery.sh push uploads,
// cosign signs and dev runs.
func TestBuilt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	folder := t.TempDir()
	if _, err := delivery.Built(folder); err == nil || !strings.Contains(err.Error(), folder+": no image is built (make images)") {
		t.Errorf("nothing built: error %v", err)
	}
	order := filepath.Join(folder, "order")
	index, err := random.Index(64, 1, 1)
	w.must(err)
	_, err = layout.Write(order, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: index}))
	w.must(err)
	w.must(images.Label(order, "order:any", "01234567"))
	built, err := delivery.Built(folder)
	w.must(err)
	pushed, err := images.Push(t.Context(), order, w.Registry+"/order")
	w.must(err)
	if diff := cmp.Diff([]delivery.Image{{Key: "order", Tag: "01234567", Digest: pushed.DigestStr()}}, built); diff != "" {
		t.Fatal(diff)
	}
	if _, err := delivery.Publish(t.Context(), w.Repository, w.Evidence, built); err == nil || !strings.Contains(err.Error(), "has no trusted signature") {
		t.Errorf("before it is signed: error %v", err)
	}
	if changed, err := delivery.New(t.Context(), w.Repository, built); len(changed) != 1 || err != nil {
		t.Errorf("before it is published: %v, %v", changed, err)
	}
	w.must(w.Sign(t.Context(), built[0]))
	_, err = delivery.Publish(t.Context(), w.Repository, w.Evidence, built)
	w.must(err)
	if diff := cmp.Diff(built[0], w.images("dev")[2]); diff != "" {
		t.Error(diff)
	}
	w.commit("It is published")
	if changed, err := delivery.New(t.Context(), w.Repository, built); len(changed) != 0 || err != nil {
		t.Errorf("once it is published: %v, %v", changed, err)
	}

	w.must(images.Label(order, "order:any", "01234567-dirty"))
	built, err = delivery.Built(folder)
	w.must(err)
	const refused = "order was built of changes that are not committed (01234567-dirty)"
	if _, err := delivery.Publish(t.Context(), w.Repository, w.Evidence, built); err == nil || err.Error() != refused {
		t.Errorf("error %v, want %q", err, refused)
	}
	blobs, err := filepath.Glob(filepath.Join(order, "blobs/sha256/*"))
	w.must(err)
	for _, c := range []struct {
		name  string
		spoil func() // one after the other
		want  string
	}{
		{"no version", func() { w.must(images.Label(order, "order:any", "")) }, `version "" is not one that images.yaml can hold`},
		{"cut off", func() { w.must(os.Truncate(blobs[0], 10)) }, order},
		{"without a part", func() { w.must(os.Remove(blobs[0])) }, order},
		{"empty", func() { w.must(os.Truncate(filepath.Join(order, "index.json"), 0)) }, order + ": "},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.spoil()
			if got, err := delivery.Built(folder); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, error %v, want %q", got, err, c.want)
			}
		})
	}
}
