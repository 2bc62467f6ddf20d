package dockerfile

import (
	"archive/tar"
	"bytes"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

var from = regexp.MustCompile(`(?im)^FROM\s+(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?\s*$`)

// Bases returns the images that a Dockerfile begins its stages with, without
// stages of its own.
func Bases(content []byte) []string {
	stages := []string{"scratch"}
	var bases []string
	for _, m := range from.FindAllStringSubmatch(string(content), -1) {
		if base := m[1]; !slices.Contains(stages, base) && !slices.Contains(bases, base) {
			bases = append(bases, base)
		}
		stages = append(stages, m[2])
	}
	return bases
}

// Compare tells how an image differs from the one that it must be like, in what
// a node, a chart or a reader of labels would see: nothing for images that do the
// same. Layers, base images and history may differ.
func Compare(got, want v1.Image, program string) error {
	gotConfig, err := got.ConfigFile()
	if err != nil {
		return err
	}
	wantConfig, err := want.ConfigFile()
	if err != nil {
		return err
	}
	var differences []error
	differ := func(what string, got, want any) {
		if !reflect.DeepEqual(got, want) {
			differences = append(differences, fmt.Errorf("%s: %v, want %v", what, got, want))
		}
	}
	g, w := gotConfig.Config, wantConfig.Config
	differ("platform", gotConfig.OS+"/"+gotConfig.Architecture, wantConfig.OS+"/"+wantConfig.Architecture)
	differ("user", g.User, w.User)
	differ("working folder", g.WorkingDir, w.WorkingDir)
	differ("entry point", g.Entrypoint, w.Entrypoint)
	differ("arguments", slices.Concat(g.Cmd), slices.Concat(w.Cmd))
	differ("ports", slices.Sorted(maps.Keys(g.ExposedPorts)), slices.Sorted(maps.Keys(w.ExposedPorts)))
	differ("certificates", variable(g, "SSL_CERT_FILE"), variable(w, "SSL_CERT_FILE"))
	for label, value := range w.Labels { // a builder may add its own
		differ("label "+label, g.Labels[label], value)
	}
	return errors.Join(append(differences, comparePrograms(got, want, program))...)
}

func variable(c v1.Config, name string) string {
	for _, pair := range c.Env {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

// comparePrograms expects the same bytes: the flags of the compiler are the same,
// and the sources that it saw.
func comparePrograms(got, want v1.Image, program string) error {
	g, err := file(got, program)
	if err != nil {
		return err
	}
	w, err := file(want, program)
	if err != nil {
		return err
	}
	gMode, wMode := g.header.FileInfo().Mode(), w.header.FileInfo().Mode()
	if gMode != wMode || g.header.Uid != w.header.Uid {
		return fmt.Errorf("program: mode %s of user %d, want %s of user %d", gMode, g.header.Uid, wMode, w.header.Uid)
	}
	if bytes.Equal(g.content, w.content) {
		return nil
	}
	gOrigin, wOrigin := origin(g.content), origin(w.content)
	return fmt.Errorf("the programs differ: alone in this one\n%s\nand in that of make images\n%s\nor else in flags of the linker, or in sources",
		without(gOrigin, wOrigin), without(wOrigin, gOrigin))
}

// origin says what a program was built of and how, for those who must find the
// difference.
func origin(program []byte) []string {
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		return []string{err.Error()}
	}
	return strings.Split(info.String(), "\n")
}

// without returns the lines that others have not.
func without(lines, others []string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return slices.Contains(others, line) }), "\n")
}

type content struct {
	header  *tar.Header
	content []byte
}

// file returns a file of an image as a container would see it.
func file(img v1.Image, name string) (content, error) {
	all := mutate.Extract(img)
	defer func() { _ = all.Close() }()
	for r := tar.NewReader(all); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return content{}, fmt.Errorf("there is no /%s in the image", name)
		}
		if err != nil {
			return content{}, err
		}
		if strings.TrimPrefix(h.Name, "./") == name {
			bytes, err := io.ReadAll(r)
			return content{h, bytes}, err
		}
	}
}
