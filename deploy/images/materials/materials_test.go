package materials_test

import (
	"bytes"
	"encoding/json"
	"runtime"
	"strings"
	"testing"
	"time"

	"example.com/pizza/deploy/images/image"
	"example.com/pizza/deploy/images/materials"
)

// Of a real image, whose program uses modules of others: this package's command.
func TestWrite(t *testing.T) {
	t.Parallel()
	s := image.Spec{Name: "images", Package: "deploy/images/cmd/images", Folder: "deploy/images"}
	index, err := image.Build(t.Context(), "../../..", s, image.Revision{Commit: "0", Time: time.Unix(0, 0)}, image.Platforms())
	if err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	var first, again bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &again} {
		if err := materials.Write(out, index, "images"); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), again.Bytes()) {
		t.Error("the same image gives another bill of materials")
	}
	var bom struct {
		BOMFormat, SpecVersion string
		Metadata               struct {
			Component struct{ Name, Version string }
		}
		Components []struct{ Name, Version, Purl string }
	}
	if err := json.Unmarshal(first.Bytes(), &bom); err != nil {
		t.Fatal(err)
	}
	if bom.BOMFormat != "CycloneDX" || bom.SpecVersion != "1.6" || bom.Metadata.Component.Name != "images" || bom.Metadata.Component.Version != digest.String() {
		t.Errorf("%+v", bom)
	}
	seen := map[string]int{}
	for _, c := range bom.Components {
		seen[c.Purl]++
		if strings.HasPrefix(c.Name, "example.com/pizza") {
			t.Errorf("%s is of this repository", c.Name)
		}
		if c.Name == "github.com/google/go-containerregistry" && c.Purl == "pkg:golang/"+c.Name+"@"+c.Version {
			seen["found"]++
		}
	}
	if seen["found"] != 1 || seen["pkg:golang/stdlib@"+strings.TrimPrefix(runtime.Version(), "go")] != 1 {
		t.Errorf("components %v", seen)
	}
	if err := materials.Write(&first, index, "other"); err == nil || !strings.Contains(err.Error(), "no program") {
		t.Errorf("of a program that is not there: %v", err)
	}
}
