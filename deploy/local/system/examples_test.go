package system

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"example.com/pizza/migrations"
)

// testExamples tries every operation of the API page as the demo member, with
// the values that the page fills in, and expects each to return something.
func (s *system) testExamples(t *testing.T) {
	schemes := object{}
	known := map[string]string{} // values of earlier responses, for path parameters without an example
	for _, service := range []string{"menu", "order", "login"} {
		doc, err := openapi3.NewLoader().LoadFromData(s.get(t, "/"+service+"/openapi.json").want(t, http.StatusOK).body)
		if err != nil {
			t.Fatal(err)
		}
		for name, scheme := range doc.Components.SecuritySchemes {
			if before, ok := schemes[name]; ok && js(t, before) != js(t, scheme) {
				t.Errorf("%s: the scheme %s is %s, elsewhere %s", service, name, js(t, scheme), js(t, before))
			}
			schemes[name] = scheme
		}
		// Sorted, so that /login/password/ comes after the other operations of the demo member.
		for _, path := range slices.Sorted(maps.Keys(doc.Paths.Map())) {
			item := doc.Paths.Value(path)
			for method, o := range item.Operations() {
				parameters := slices.Concat(item.Parameters, o.Parameters)
				for _, r := range examples(t, method, path, parameters, o.RequestBody, known) {
					if o.Security != nil && len(*o.Security) > 0 {
						r.token = s.login(t, migrations.DemoMember, migrations.DemoPassword)
					}
					a := s.send(t, r)
					if a.status/100 != 2 || strings.TrimSpace(string(a.body)) == "[]" {
						t.Errorf("%s %s: answer %d %s; want 2xx and something", a.name(), r.body, a.status, a.body)
					}
					var fields object
					if json.Unmarshal(a.body, &fields) == nil { // a list has no fields
						for name, value := range fields {
							known[name] = fmt.Sprint(value)
						}
					}
				}
			}
		}
	}
	if diff := cmp.Diff([]string{"member", "operator"}, slices.Sorted(maps.Keys(schemes))); diff != "" {
		t.Errorf("security schemes of the page (-want +got):\n%s", diff)
	}
}

// examples returns one request for each example of the body, or the only request
// of an operation without a body.
func examples(
	t *testing.T, method, path string, parameters openapi3.Parameters, body *openapi3.RequestBodyRef, known map[string]string,
) []request {
	t.Helper()
	query, header := url.Values{}, map[string]string{}
	for _, ref := range parameters {
		p := ref.Value
		switch value := fmt.Sprint(p.Example); {
		case p.In == openapi3.ParameterInPath && p.Example == nil:
			path = strings.ReplaceAll(path, "{"+p.Name+"}", known[p.Name])
		case p.In == openapi3.ParameterInPath:
			path = strings.ReplaceAll(path, "{"+p.Name+"}", value)
		case p.Example == nil:
		case p.In == openapi3.ParameterInQuery:
			query.Set(p.Name, value)
		default:
			header[p.Name] = value
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	if body == nil {
		return []request{{method: method, path: path, header: header}}
	}
	var all []request
	add := func(media, body string) {
		r := request{method: method, path: path, header: maps.Clone(header), media: media, body: body}
		r.unchecked = media == mediaForm
		if r.header["Idempotency-Key"] != "" {
			r.header["Idempotency-Key"] = rand.Text() // as the page does
		}
		all = append(all, r)
	}
	content := body.Value.Content[mediaJSON]
	if content.Example != nil {
		add(mediaJSON, js(t, content.Example))
	}
	for _, name := range slices.Sorted(maps.Keys(content.Examples)) {
		add(mediaJSON, js(t, content.Examples[name].Value.Value))
	}
	if len(all) == 0 {
		t.Errorf("%s %s has no example of its body", method, path)
	}
	form := url.Values{}
	if content := body.Value.Content[mediaForm]; content != nil {
		for name, property := range content.Schema.Value.Properties {
			if property.Value.Example != nil {
				form.Set(name, fmt.Sprint(property.Value.Example))
			}
		}
	}
	if len(form) > 0 {
		add(mediaForm, form.Encode())
	}
	return all
}
