// Package materials tells what is in an image of this repository: the bill of
// materials (SBOM) as CycloneDX writes it, read from the program itself, where the
// compiler put it. Those who look for vulnerabilities need no more than that: beside
// the program there are certificates and the name of a user.
package materials

import (
	"archive/tar"
	"bytes"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// Write writes the bill of materials of an index, each of whose images has the
// program /NAME. The same image gives the same bytes.
func Write(w io.Writer, index v1.ImageIndex, name string) error {
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	bom := cdx.NewBOM()
	var all []cdx.Component
	for i, m := range manifest.Manifests {
		img, err := index.Image(m.Digest)
		if err != nil {
			return err
		}
		info, err := origin(img, name)
		if err != nil {
			return fmt.Errorf("%s for %s: %w", name, m.Platform, err)
		}
		if i == 0 {
			bom.Metadata = &cdx.Metadata{Component: &cdx.Component{
				Type: cdx.ComponentTypeContainer, BOMRef: digest.String(), Name: name, Version: digest.String(), Description: info.Path,
			}}
		}
		for _, c := range components(info) {
			if !contains(all, c) { // what is for all platforms is there once
				all = append(all, c)
			}
		}
	}
	bom.Components = &all
	e := cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON)
	e.SetPretty(true)
	return e.EncodeVersion(bom, cdx.SpecVersion1_6)
}

// components are the modules that a program was built of, and the compiler's library.
func components(info *debug.BuildInfo) []cdx.Component {
	module := func(path, version string) cdx.Component {
		purl := "pkg:golang/" + path + "@" + version
		return cdx.Component{Type: cdx.ComponentTypeLibrary, BOMRef: purl, Name: path, Version: version, PackageURL: purl}
	}
	all := []cdx.Component{module("stdlib", strings.TrimPrefix(info.GoVersion, "go"))}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		if m.Version != "(devel)" && m.Version != "" { // of this repository
			all = append(all, module(m.Path, m.Version))
		}
	}
	return all
}

func contains(all []cdx.Component, c cdx.Component) bool {
	for _, a := range all {
		if a.BOMRef == c.BOMRef {
			return true
		}
	}
	return false
}

// origin reads what the compiler wrote into the program of an image.
func origin(img v1.Image, name string) (*debug.BuildInfo, error) {
	files := mutate.Extract(img)
	defer func() { _ = files.Close() }()
	for r := tar.NewReader(files); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("it has no program")
		}
		if err != nil {
			return nil, err
		}
		if h.Name != name {
			continue
		}
		program, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		return buildinfo.Read(bytes.NewReader(program))
	}
}
