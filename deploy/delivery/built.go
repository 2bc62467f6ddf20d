package delivery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"example.com/pizza/deploy/images"
)

// ErrNoImages means that no image was built.
var ErrNoImages = errors.New("no image is built")

// Built returns the images that `make images` has built into a folder, which need not be all.
func Built(folder string) ([]Image, error) {
	var all []Image
	for _, key := range append(Services(), Migration) {
		i := Image{Key: key}
		place := filepath.Join(folder, i.Repository())
		if _, err := os.Stat(place); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		index, version, err := images.Read(place)
		if err != nil {
			return nil, err
		}
		digest, err := index.Digest()
		if err != nil {
			return nil, err
		}
		i.Tag, i.Digest = version, digest.String()
		if !lines.MatchString(i.line()) {
			return nil, fmt.Errorf("%s: version %q is not one that images.yaml can hold", place, version)
		}
		all = append(all, i)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: %w (make images)", folder, ErrNoImages)
	}
	return all, nil
}

// PushedChart returns the chart that tools/push-charts.sh has pushed, if any.
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

// New returns the built images that the first environment does not run. Equal sources give
// an equal digest, so these are the images that have changed.
func New(ctx context.Context, r Repository, built []Image) ([]Image, error) {
	all, err := r.Environments()
	if err != nil {
		return nil, err
	}
	now, err := r.images(ctx, all[0], "HEAD")
	return slices.DeleteFunc(slices.Clone(built), func(b Image) bool {
		return slices.ContainsFunc(now, func(n Image) bool { return n.Key == b.Key && n.Digest == b.Digest })
	}), err
}
