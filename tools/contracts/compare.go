package main

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/oasdiff/oasdiff/checker"
	"github.com/oasdiff/oasdiff/diff"
	"github.com/oasdiff/oasdiff/load"
)

// compare compares the working tree with a revision.
func compare(ctx context.Context, dir string, with base) (*report, error) {
	var all [3]documents
	var err error
	if all[0], err = committed(ctx, dir, with.Commit); err != nil {
		return nil, err
	}
	if all[1], err = committed(ctx, dir, with.Merged); err != nil {
		return nil, err
	}
	if all[2], err = working(dir); err != nil {
		return nil, err
	}
	before, err := changes(all[0], all[1])
	if err != nil {
		return nil, err
	}
	now, err := changes(all[0], all[2])
	if err != nil {
		return nil, err
	}
	r := &report{Base: with, Tell: []string{}, Changes: now}
	return r, r.judge(dir, before)
}

// changes returns what is different in all documents.
func changes(old, now documents) ([]change, error) {
	paths := maps.Clone(old)
	maps.Copy(paths, now)
	all := []change{}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		found, err := document(path, old, now)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for _, c := range found {
			c.Service, c.Document = strings.Split(path, "/")[1], filepath.Base(path)
			if c.Document == asyncAPI {
				c.ofEvent()
			}
			all = append(all, c)
		}
	}
	return all, nil
}

// document returns what is different in one document.
func document(path string, before, after documents) ([]change, error) {
	old, was := before[path]
	now, is := after[path]
	switch {
	case !was:
		return []change{{Rule: "document-added", Text: "the document is new"}}, nil
	case !is:
		return []change{{Rule: "document-removed", Text: "the document is gone", Breaking: true}}, nil
	case old == now:
		return nil, nil
	case filepath.Base(path) == asyncAPI:
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
	info, err := load.NewSpecInfoFromData(openapi3.NewLoader(), document, "document", load.WithFlattenAllOf(), load.WithFlattenParams())
	if err == nil {
		nameSchemes(info.Spec)
	}
	return info, err
}

// nameSchemes names security schemes after their kind. A name is only a label in the
// document, so a client does not notice another one.
func nameSchemes(spec *openapi3.T) {
	if spec.Components == nil {
		return
	}
	kinds, schemes := map[string]string{}, openapi3.SecuritySchemes{}
	for _, name := range slices.Sorted(maps.Keys(spec.Components.SecuritySchemes)) {
		scheme := spec.Components.SecuritySchemes[name]
		kind := strings.Join([]string{scheme.Value.Type, scheme.Value.Scheme, scheme.Value.BearerFormat, scheme.Value.In, scheme.Value.Name}, " ")
		if schemes[kind] != nil {
			return // two of a kind differ by nothing but their names
		}
		kinds[name], schemes[kind] = kind, scheme
	}
	spec.Components.SecuritySchemes = schemes
	rename := func(requirements openapi3.SecurityRequirements) {
		for n, requirement := range requirements {
			requirements[n] = openapi3.SecurityRequirement{}
			for name, scopes := range requirement {
				requirements[n][kinds[name]] = scopes
			}
		}
	}
	rename(spec.Security)
	for _, path := range spec.Paths.Map() {
		for _, operation := range path.Operations() {
			if operation.Security != nil {
				rename(*operation.Security)
			}
		}
	}
}
