package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// maker is the package that decides what is in an image beside its program.
const maker = "deploy/images/image"

// Inputs are what an image is made of, as patterns of git (pathspecs) below the
// root of the repository: the packages of this repository that its program needs,
// and the one that makes images, with the files embedded in them, the versions of
// what else they need, and the compiler's. Tests are not in an image.
//
// They are patterns rather than files, so that a file that is gone, or new, is a
// change of the image too.
func Inputs(ctx context.Context, root string, s Spec) ([]string, error) {
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, err
	}
	if root, err = filepath.Abs(root); err != nil {
		return nil, err
	}
	packages, err := list(ctx, root, s.Package, maker)
	if err != nil {
		return nil, err
	}
	in := func(folder string, name ...string) (string, error) {
		folder, err := filepath.Rel(root, folder)
		return path.Join(append([]string{filepath.ToSlash(folder)}, name...)...), err
	}
	inputs := []string{"go.work", s.Dockerfile()}
	var errs []error
	add := func(magic, folder string, name ...string) {
		p, err := in(folder, name...)
		inputs, errs = append(inputs, magic+p), append(errs, err)
	}
	for _, p := range packages {
		if p.Module == nil || !p.Module.Main { // of the compiler, or of a version that a go.mod names
			continue
		}
		add("", p.Module.Dir, "go.mod")
		add("", p.Module.Dir, "go.sum")
		add(":(glob)", p.Dir, "*.go")
		for _, pattern := range p.EmbedPatterns {
			add(":(glob)", p.Dir, strings.TrimPrefix(pattern, "all:"))
			add(":(glob)", p.Dir, strings.TrimPrefix(pattern, "all:"), "**")
		}
	}
	slices.Sort(inputs)
	return append(slices.Compact(inputs), ":(exclude,glob)**/*_test.go"), errors.Join(errs...)
}

// Changed returns the files of an image that differ at HEAD from where HEAD left a
// base, and none if the image is the same there.
func Changed(ctx context.Context, root, base string, s Spec) ([]string, error) {
	inputs, err := Inputs(ctx, root, s)
	if err != nil {
		return nil, err
	}
	out, err := git(ctx, root, append([]string{"diff", "--name-only", "--no-renames", "-z", base + "...HEAD", "--"}, inputs...)...)
	return strings.FieldsFunc(out, func(r rune) bool { return r == 0 }), err
}

// listed is a package as the go command tells it.
type listed struct {
	Dir           string
	EmbedPatterns []string
	Module        *struct {
		Main bool
		Dir  string
	}
}

// list returns packages and all that they need, as they are compiled into an image.
func list(ctx context.Context, root string, packages ...string) ([]listed, error) {
	args := append([]string{"list", "-deps", tags, "-json=Dir,EmbedPatterns,Module"}, local(packages)...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), environment(Platforms()[0])...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
}

func local(packages []string) []string {
	paths := make([]string, len(packages))
	for i, p := range packages {
		paths[i] = "./" + p
	}
	return paths
}
