package delivery

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// ErrNoImages says that none was built.
var ErrNoImages = errors.New("there is no image")

// PushedChart reads what tools/push-charts.sh has pushed, if it has.
func PushedChart(file string) ([]Image, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(text)) // name, version, reference
	if len(fields) == 3 {
		_, digest, _ := strings.Cut(fields[2], "@")
		i := Image{Chart, fields[1], digest}
		if fields[0] == "pizza" && lines.MatchString(i.line()) {
			return []Image{i}, nil
		}
	}
	return nil, fmt.Errorf("%s: want pizza VERSION REGISTRY/charts/pizza@sha256:<64 hex digits>, not %q", file, text)
}

// Archives reads which images `make images` has left in a folder: those that were
// built, which need not be all.
func Archives(folder string) ([]Image, error) {
	var all []Image
	for _, key := range append(Services(), Migration) {
		i := Image{Key: key}
		file := filepath.Join(folder, i.Repository()+".tar")
		err := i.read(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, i)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w in %s: make images builds them", ErrNoImages, folder)
	}
	return all, nil
}

// maxDocument bounds what is read of a file that may hold a document and not a layer.
const maxDocument = 1 << 20

// read takes digest and version of an image from an OCI archive.
func (i *Image) read(file string) (err error) {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	documents := map[string][]byte{} // by digest, and index.json
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if name := strings.TrimPrefix(h.Name, "blobs/sha256/"); h.Size <= maxDocument {
			if documents[name], err = io.ReadAll(r); err != nil {
				return err
			}
		}
	}
	type descriptor struct {
		Digest   string
		Platform struct{ OS string }
	}
	var layout, index struct{ Manifests []descriptor }
	var manifest struct{ Config descriptor }
	var config struct {
		Config struct{ Labels map[string]string }
	}
	follow := func(digest string, into any) error {
		return json.Unmarshal(documents[strings.TrimPrefix(digest, "sha256:")], into)
	}
	if err := json.Unmarshal(documents["index.json"], &layout); err != nil || len(layout.Manifests) != 1 {
		return errors.Join(errors.New("not the archive of one image"), err)
	}
	i.Digest = layout.Manifests[0].Digest
	if err := follow(i.Digest, &index); err != nil || len(index.Manifests) == 0 {
		return errors.Join(errors.New("no platforms in the index"), err)
	}
	if err := follow(index.Manifests[0].Digest, &manifest); err != nil {
		return err
	}
	if err := follow(manifest.Config.Digest, &config); err != nil {
		return err
	}
	i.Tag = config.Config.Labels["org.opencontainers.image.version"]
	if _, err := Parse(file, []byte(i.line()+"\n")); i.Tag == "" || err != nil && strings.Contains(err.Error(), "want NAME") {
		return fmt.Errorf("version %q is not one that images.yaml can hold", i.Tag)
	}
	if strings.HasSuffix(i.Tag, "-dirty") {
		return fmt.Errorf("built of changes that are not committed (%s)", i.Tag)
	}
	return nil
}
