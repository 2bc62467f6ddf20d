package apitest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"example.com/pizza/pkg/problem"
)

// Parameters checks that every parameter of a document is generated as text. The
// generator's own types are a trap: some compile and stay empty, others lose
// digits, and their errors expose Go wording. A parameter of another type has that
// type in the document, beside x-go-type: string, and is parsed by bind.Parameter.
// generated is the generated interface of the strict server.
func Parameters(tb testing.TB, document []byte, generated reflect.Type) {
	tb.Helper()
	for _, o := range operations(tb, document) {
		for _, p := range o.parameters {
			if err := checkParameter(p); err != nil {
				tb.Errorf("%s %s: parameter %s: %v", o.method, o.path, p.Name, err)
			}
		}
	}
	for m := range generated.Methods() {
		for _, err := range checkRequest(m.Type.In(1)) {
			tb.Errorf("%s: %v", m.Name, err)
		}
	}
}

// checkParameter returns an error for an unsuitable parameter of a document.
func checkParameter(p *openapi3.Parameter) error {
	switch {
	case p.In == openapi3.ParameterInCookie:
		return fmt.Errorf("is in a cookie")
	case p.Schema == nil || p.Schema.Value == nil:
		return fmt.Errorf("has no schema")
	case p.Schema.Ref != "":
		return fmt.Errorf("has a schema that is a $ref (%s): write it in place", p.Schema.Ref)
	case p.Style != "" || p.Explode != nil:
		return fmt.Errorf("must not set style or explode")
	}
	s := p.Schema.Value
	if s.Extensions["x-go-type"] == "string" && !s.Type.Is(openapi3.TypeArray) && !s.Type.Is(openapi3.TypeObject) {
		return nil
	}
	if !s.Type.Is(openapi3.TypeString) || s.Format != "" || len(s.Enum) > 0 || s.Nullable || len(s.Extensions) > 0 {
		return fmt.Errorf("is not generated as text: add x-go-type: string to its schema, and read it by bind.Parameter")
	}
	return nil
}

// checkRequest returns the problems of a generated request.
func checkRequest(request reflect.Type) (bad []error) {
	for f := range request.Fields() {
		switch {
		case f.Name == "Body":
		case f.Name == "Params":
			bad = append(bad, checkRequest(f.Type)...)
		case f.Type != reflect.TypeFor[string]() && f.Type != reflect.TypeFor[*string]():
			bad = append(bad, fmt.Errorf("parameter %s is generated as %s, not as text", f.Name, f.Type))
		}
	}
	return bad
}

type operation struct {
	method, path string // path contains example values for its parameters
	parameters   []*openapi3.Parameter
}

// operations returns the operations of a document.
func operations(tb testing.TB, document []byte) (all []operation) {
	tb.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		tb.Fatal(err)
	}
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			found := operation{method: method, path: path}
			for _, p := range slices.Concat(item.Parameters, o.Parameters) {
				found.parameters = append(found.parameters, p.Value)
				if p.Value.In == openapi3.ParameterInPath {
					found.path = strings.ReplaceAll(found.path, "{"+p.Value.Name+"}", fmt.Sprint(p.Value.Example))
				}
			}
			all = append(all, found)
		}
	}
	return all
}

// MalformedQueries sends malformed values in every query parameter and header of
// every GET operation. Each is rejected with an error that names the parameter, or
// parsed as the URL Standard says. No response shows the wording of the generator
// or of Go. header alternates names and values.
func (s *Service) MalformedQueries(t *testing.T, document []byte, header ...string) {
	t.Helper()
	for _, o := range operations(t, document) {
		if o.method != http.MethodGet {
			continue
		}
		for _, p := range o.parameters {
			t.Run(o.path+"_"+p.Name, func(t *testing.T) {
				t.Parallel()
				if p.In == openapi3.ParameterInHeader {
					s.twoHeaders(t, o, p.Name, header)
				}
				if p.In == openapi3.ParameterInQuery {
					s.malformed(t, o, p.Name, header)
				}
			})
		}
	}
}

func (s *Service) malformed(t *testing.T, o operation, name string, header []string) {
	t.Helper()
	for _, query := range []string{"%s=a&%s=b", "%s=&%s=", "%s=%%ff", "%s=%%ea%%b0", "%s=%%ed%%a0%%80", "%s=%%00", "%s=\xff"} {
		query = fmt.Sprintf(query, slices.Repeat([]any{name}, strings.Count(query, "%s"))...)
		s.mustName(t, s.Get(t, o.path+"?"+query, header...), name, query)
	}
	// Malformed, but the URL Standard parses it like the well-formed one.
	for sent, means := range map[string]string{
		"%": "%25", "a%": "a%25", "%zz": "%25zz", "%4": "%254", "a;b": "a%3Bb", "a;" + name + "=b": "a%3B" + name + "%3Db", "a=b": "a%3Db", "a&x=%ff&x": "a",
	} {
		a, want := s.Get(t, o.path+"?"+name+"="+sent, header...), s.Get(t, o.path+"?"+name+"="+means, header...)
		if a.Status != want.Status || content(a) != content(want) {
			t.Errorf("%s: %d %s; want as for %s: %d %s", sent, a.Status, a.Body, means, want.Status, want.Body)
		}
		if a.Status != http.StatusOK {
			s.mustName(t, a, name, sent)
		}
	}
}

// twoHeaders sends a header twice. A header that is not a list must be rejected by
// name.
func (s *Service) twoHeaders(t *testing.T, o operation, name string, header []string) {
	t.Helper()
	if a := s.Get(t, o.path, append(header, name, "a", name, "b")...); a.Status != http.StatusOK {
		s.mustName(t, a, name, "two lines")
	}
}

// mustName checks that a rejection names only field.
func (s *Service) mustName(t *testing.T, a Answer, field, sent string) {
	t.Helper()
	p := Decode[problem.Problem](t, a, http.StatusBadRequest)
	if len(p.Errors) != 1 || p.Errors[0].Field != field || p.Errors[0].Message == "" {
		t.Errorf("%s: errors %+v", sent, p.Errors)
	}
	for _, foreign := range []string{"parameter", "strconv", "got 2", "parsing"} {
		if strings.Contains(p.Detail, foreign) {
			t.Errorf("%s: detail %q", sent, p.Detail)
		}
	}
}

// content returns the response body without its trace ID.
func content(a Answer) string {
	var p map[string]any
	if json.Unmarshal(a.Body, &p) != nil {
		return string(a.Body)
	}
	delete(p, "trace_id")
	return fmt.Sprint(p)
}
