package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// repository is a new one that holds the documents of a small service, and who
// relies on it, in one commit.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	must(t, dir, "init", "--quiet", "--initial-branch=main")
	commit(t, dir, "documents")
	return dir
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := git(t.Context(), dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func commit(t *testing.T, dir, message string) string {
	t.Helper()
	must(t, dir, "add", "--all")
	must(t, dir, "-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false", "commit", "--quiet", "--allow-empty", "--message", message)
	return must(t, dir, "rev-parse", "HEAD")
}

// compared changes a document, and compares.
func compared(t *testing.T, document, from, to string) *report {
	t.Helper()
	dir := repository(t)
	file := filepath.Join(dir, "services/oven/api", document)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), from, to, 1)
	if changed == string(text) {
		t.Fatalf("%s has no %q", document, from)
	}
	write(t, file, changed)
	with, err := findBase(t.Context(), dir, "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	r, err := compare(t.Context(), dir, with)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRules: what could break a consumer is caught, in answers, requests and
// events, and what could not passes.
func TestRules(t *testing.T) {
	t.Parallel()
	const bake, baked = "POST /bake/", "pizza.baked"
	for name, test := range map[string]struct {
		document, from, to string
		breaking           bool
		where, rule        string
	}{
		"a field of an answer is removed":            {openAPI, "        id: {type: string}\n", "", true, bake, "response-required-property-removed"},
		"a field that was never promised is removed": {openAPI, "        hint: {type: string}\n", "", true, bake, "response-optional-property-removed"},
		"a field of an answer has another type":      {openAPI, "done_at: {type: integer}", "done_at: {type: string}", true, bake, "response-property-type-changed"},
		"a field of an answer can be missing":        {openAPI, "[id, done_at]", "[id]", true, bake, "response-property-became-optional"},
		"a field of an answer can be null":           {openAPI, "id: {type: string}", "id: {type: string, nullable: true}", true, bake, "response-property-became-nullable"},
		"a value that no consumer knows":             {openAPI, "[raw, done]", "[raw, done, burnt]", true, bake, "response-property-enum-value-added"},
		"an optional header is removed":              {openAPI, "Location", "Place", true, bake, "optional-response-header-removed"},
		"a field of a request is required":           {openAPI, "required: [sort]", "required: [sort, slices]", true, bake, "request-property-became-required"},
		"a new field of a request is required": {openAPI, "required: [sort]\n      properties:\n", "required: [sort, crust]\n      properties:\n        crust: {type: string}\n",
			true, bake, "new-required-request-property"},
		"a request may have less": {openAPI, "maximum: 12", "maximum: 8", true, bake, "request-property-max-decreased"},
		"a path is gone":          {openAPI, "/temperature/", "/heat/", true, "GET /temperature/", "api-path-removed-without-deprecation"},

		"a field of an answer is added": {openAPI, "        id: {type: string}\n", "        id: {type: string}\n        box: {type: string}\n", false, bake, "response-optional-property-added"},
		"an optional field of a request": {openAPI, "        sort: {type: string}\n", "        sort: {type: string}\n        crust: {type: string}\n",
			false, bake, "new-optional-request-property"},
		"a request may have more": {openAPI, "maximum: 12", "maximum: 16", false, bake, "request-property-max-increased"},

		"a field of an event is removed":       {asyncAPI, "        pizza_id: {type: string}\n", "", true, baked, "response-required-property-removed"},
		"a field of an element is removed":     {asyncAPI, "        grams: {type: integer}\n", "", true, baked, "response-required-property-removed"},
		"a field of an event can be missing":   {asyncAPI, "[pizza_id, slices]", "[slices]", true, baked, "response-property-became-optional"},
		"a field of an event has another type": {asyncAPI, "grams: {type: integer}", "grams: {type: string}", true, baked, "response-property-type-changed"},
		"an event has another type":            {asyncAPI, "const: pizza.baked", "const: pizza.done", true, baked, "response-property-const-changed"},
		"an event is not announced any more":   {asyncAPI, "address: pizza.baked", "address: pizza.done", true, baked, "api-path-removed-without-deprecation"},
		"a field of an event is added":         {asyncAPI, "        pizza_id: {type: string}\n", "        pizza_id: {type: string}\n        oven: {type: string}\n", false, baked, "response-optional-property-added"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := compared(t, test.document, test.from, test.to)
			if r.Breaking != test.breaking {
				t.Errorf("breaking: %t", r.Breaking)
			}
			if !slices.ContainsFunc(r.Changes, func(c change) bool {
				return c.Service == "oven" && c.Document == test.document && c.Where == test.where && c.Rule == test.rule && c.Breaking == test.breaking
			}) {
				t.Errorf("no %s at %s, but %+v", test.rule, test.where, r.Changes)
			}
		})
	}
}

// TestSchemes: the name of a security scheme is only a label in the document; its kind
// is not.
func TestSchemes(t *testing.T) {
	t.Parallel()
	const scheme, requirement = "{key: {type: http, scheme: bearer}}", "\nsecurity: [{key: []}]"
	r := compared(t, openAPI, scheme+requirement, "{token: {type: http, scheme: bearer}}\nsecurity: [{token: []}]")
	if len(r.Changes) != 0 {
		t.Errorf("another name: %+v", r.Changes)
	}
	r = compared(t, openAPI, scheme+requirement, "{key: {type: http, scheme: basic}}"+requirement)
	if !r.Breaking {
		t.Errorf("another kind: %+v", r.Changes)
	}
}

// TestBase: the last release, else what is merged; or what is asked for.
func TestBase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, dir, "init", "--quiet", "--initial-branch=main")
	is := func(revision, commit, why, merged string) {
		t.Helper()
		got, err := findBase(t.Context(), dir, revision)
		if err != nil || got.Commit != commit || !strings.Contains(got.Why, why) || got.Merged != merged {
			t.Errorf("%+v, %v, want %s: %s, merged %s", got, err, commit, why, merged)
		}
	}
	const unreleased, released = "nothing is released yet", "v1.0.0 (the last release)"
	first := commit(t, dir, "first")
	is("", first, unreleased, first)
	second := commit(t, dir, "second")
	is("", first, unreleased, first)
	must(t, dir, "switch", "--quiet", "--create", "branch")
	third := commit(t, dir, "third")
	fourth := commit(t, dir, "fourth")
	is("", second, unreleased, second)
	must(t, dir, "tag", "v1.0.0", first)
	must(t, dir, "tag", "chart-9", second)
	is("", first, released, second)
	is("HEAD~1", third, "as asked for", second)
	must(t, dir, "update-ref", "refs/remotes/origin/main", third)
	is("", first, released, third)
	must(t, dir, "update-ref", "refs/remotes/origin/main", fourth) // as where CI looks at the main branch
	is("", first, released, fourth)
	for _, revision := range []string{"v2.0.0", "--output=x", "HEAD:services"} {
		if got, err := findBase(t.Context(), dir, revision); err == nil {
			t.Errorf("%s is %+v", revision, got)
		}
	}
}

func TestShallowClone(t *testing.T) {
	t.Parallel()
	dir, clone := repository(t), t.TempDir()
	commit(t, dir, "another")
	must(t, clone, "clone", "--quiet", "--depth=1", "file://"+dir, "pizza")
	if got, err := findBase(t.Context(), filepath.Join(clone, "pizza"), ""); err == nil {
		t.Errorf("%+v", got)
	}
}

// TestAcceptedOnce: what was accepted with one branch stops no other, and what
// another adds is not accepted with it.
func TestAcceptedOnce(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	must(t, dir, "tag", "v1.0.0")
	file := filepath.Join(dir, "services/oven/api", openAPI)
	remove := func(field string) {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(text), field) {
			t.Fatal(field, err)
		}
		write(t, file, strings.Replace(string(text), field, "", 1))
	}
	breaks := func(want bool, table ...string) {
		t.Helper()
		var out bytes.Buffer
		if err := run(t.Context(), dir, &out, "", false, false); errors.Is(err, errBreaking) != want || err != nil && !want {
			t.Errorf("%v, want broken %t", err, want)
		}
		for _, line := range table {
			if !strings.Contains(out.String(), line) {
				t.Errorf("no %q in\n%s", line, &out)
			}
		}
	}
	remove("        hint: {type: string}\n")
	breaks(true, "YES       POST /bake/: removed the optional property `hint`")
	commit(t, dir, "remove the hint")
	must(t, dir, "switch", "--quiet", "--create", "branch")
	commit(t, dir, "another change")
	breaks(false, "accepted  POST /bake/: removed the optional property `hint`", "was accepted. Tell waiter of oven, web of oven, before")
	remove("        id: {type: string}\n")
	breaks(true, "accepted  POST /bake/: removed the optional property `hint`", "YES       POST /bake/: removed the required property `id`")
}

// TestRun: a break fails, and passes when it was accepted. What cannot be compared
// is no break, and fails otherwise.
func TestRun(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	run := func(revision string, accept bool) error {
		return run(t.Context(), dir, io.Discard, revision, false, accept)
	}
	if err := run("HEAD", false); err != nil {
		t.Error(err)
	}
	must(t, dir, "rm", "--quiet", "services/oven/api/asyncapi.yaml")
	if err := run("HEAD", false); !errors.Is(err, errBreaking) {
		t.Error(err)
	}
	if err := run("HEAD", true); err != nil {
		t.Error(err)
	}
	if err := run("v9", true); err == nil || errors.Is(err, errBreaking) {
		t.Error(err)
	}
}

// TestDocuments: a new document breaks nobody, one that is gone does.
func TestDocuments(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	must(t, dir, "rm", "--quiet", "services/oven/api/asyncapi.yaml")
	write(t, filepath.Join(dir, "services/till/api/openapi.yaml"), "openapi: 3.0.3\n")
	with, err := findBase(t.Context(), dir, "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	r, err := compare(t.Context(), dir, with)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range r.Changes {
		got = append(got, c.Service+" "+c.Document+" "+c.Rule)
	}
	if want := []string{"oven asyncapi.yaml document-removed", "till openapi.yaml document-added"}; !slices.Equal(got, want) || !r.Breaking {
		t.Errorf("breaking: %t, %q", r.Breaking, got)
	}
}

// TestReport: people learn what breaks, what to do instead, and whom to ask; also
// when it was accepted. Programs get the same.
func TestReport(t *testing.T) {
	t.Parallel()
	r := compared(t, asyncAPI, "        grams: {type: integer}\n", "")
	var out bytes.Buffer
	if err := r.table(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"service  document       breaking  change",
		"oven     asyncapi.yaml  YES       pizza.baked: removed the required property `data/slices/items/grams`  keep it, add the new beside it,",
		"Somebody could break: waiter of oven, web of oven.", "BREAKING=accepted", "breaking-change-accepted",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
	out.Reset()
	r.Accepted = true
	if err := r.table(&out); err != nil || !strings.Contains(out.String(), "was accepted. Tell waiter of oven, web of oven, before") {
		t.Errorf("%v\n%s", err, &out)
	}
	out.Reset()
	var again report
	if err := errors.Join(r.json(&out), json.Unmarshal(out.Bytes(), &again)); err != nil || !reflect.DeepEqual(*r, again) {
		t.Errorf("%v\n%+v\n%+v", err, *r, again)
	}
	nothing := compared(t, openAPI, "title: oven", "title: an oven")
	out.Reset()
	if err := nothing.table(&out); err != nil || !strings.HasSuffix(out.String(), "nothing has changed.\n") || nothing.Breaking {
		t.Errorf("%v\n%s", err, &out)
	}
}
