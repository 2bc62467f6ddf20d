package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/oasdiff/oasdiff/checker"
	"github.com/oasdiff/oasdiff/diff"
	"github.com/oasdiff/oasdiff/load"
)

// Names of documents, in services/<service>/api.
const (
	openAPI  = "openapi.yaml"
	asyncAPI = "asyncapi.yaml"
)

// compare compares all documents of the working tree with those of a revision.
func compare(ctx context.Context, dir string, with base) (*report, error) {
	before, err := documentsAt(ctx, dir, with.Commit)
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "services", "*", "api", "*api.yaml"))
	if err != nil {
		return nil, err
	}
	old, now := map[string]string{}, map[string]string{}
	for _, path := range before {
		if old[path], err = git(ctx, dir, "show", with.Commit+":"+path); err != nil {
			return nil, err
		}
	}
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // it is a document of this repository
		if err != nil {
			return nil, err
		}
		path, err := filepath.Rel(dir, file)
		if err != nil {
			return nil, err
		}
		now[filepath.ToSlash(path)] = string(text)
	}
	if len(now) == 0 {
		return nil, errors.New("there are no documents in services/*/api")
	}
	r := &report{Base: with, Tell: []string{}, Changes: []change{}}
	all := maps.Clone(old)
	maps.Copy(all, now)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		changes, err := document(path, old, now)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if err := r.add(dir, path, changes); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// document returns what has changed in one document.
func document(path string, before, after map[string]string) ([]change, error) {
	old, was := before[path]
	now, is := after[path]
	switch {
	case !was:
		return []change{{Rule: "document-added", Text: "the document is new"}}, nil
	case !is:
		return []change{{Rule: "document-removed", Text: "the document is gone", Breaking: true}}, nil
	case strings.HasSuffix(path, asyncAPI):
		return judge(old, now, answersOfEvents)
	default:
		return judge(old, now, func(text string) ([]byte, error) { return []byte(text), nil })
	}
}

// judge has the rules of oasdiff say what is different, as: the OpenAPI document
// that stands for a text.
func judge(old, now string, as func(string) ([]byte, error)) ([]change, error) {
	before, err := read(old, as)
	if err != nil {
		return nil, fmt.Errorf("before: %w", err)
	}
	after, err := read(now, as)
	if err != nil {
		return nil, err
	}
	found, sources, err := diff.GetWithOperationsSourcesMap(diff.NewConfig(), before, after)
	if err != nil {
		return nil, err
	}
	rules := checker.NewConfig(checker.GetAllChecks(), checker.WithSeverityLevels(stricter()))
	words := checker.NewDefaultLocalizer()
	var changes []change
	for _, c := range checker.CheckBackwardCompatibilityUntilLevel(rules, found, sources, checker.INFO) {
		changes = append(changes, change{
			Where: strings.TrimSpace(c.GetOperation() + " " + c.GetPath()), Rule: c.GetId(),
			Text: c.GetUncolorizedText(words), Breaking: c.GetLevel() >= checker.WARN,
		})
	}
	return changes, nil
}

// stricter are the rules that oasdiff takes lightly: what need not be there is read
// all the same where it is, and most of what our documents have is such.
func stricter() map[string]checker.Level {
	return map[string]checker.Level{
		checker.ResponseOptionalPropertyRemovedId: checker.ERR,
		checker.OptionalResponseHeaderRemovedId:   checker.ERR,
	}
}

func read(text string, as func(string) ([]byte, error)) (*load.SpecInfo, error) {
	document, err := as(text)
	if err != nil {
		return nil, err
	}
	return load.NewSpecInfoFromData(openapi3.NewLoader(), document, "document", load.WithFlattenAllOf(), load.WithFlattenParams())
}
