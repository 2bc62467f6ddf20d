package contract

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"example.com/pizza/pkg/testkit/apitest"
)

const oven = `
consumer: waiter
provider: oven
interactions:
  - name: what is baked
    given: one is in
    with: {key: k-1}
    request: {method: POST, path: '/bake/?fast=1', headers: {Authorization: 'Bearer ${key}'}, body: {sort: margherita}}
    response:
      status: 200
      headers: {Content-Type: application/json, Location: /bake/1}
      body: {id: 1, sort: margherita, at: '18:30:05', slices: [{cut: true}], toppings: [basil, salt]}
      match: {headers.Location: '^/bake/', body.id: integer, body.sort: exact, body.at: time, body.slices: each}
`

const good = `{"id":7,"sort":"margherita","at":"09:00:00","slices":[{"cut":true},{"cut":false}],"toppings":["a","b"],"more":null}`

func baking(t *testing.T) *Interaction {
	t.Helper()
	c, err := parse([]byte(oven))
	if err != nil {
		t.Fatal(err)
	}
	return &c.Interactions[0]
}

// TestVerify checks that fields that the consumer reads must match the contract,
// and that other fields may be anything.
func TestVerify(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ from, to, want string }{
		"as written":            {"", "", ""},
		"a field more":          {`"id"`, `"new":1,"id"`, ""},
		"another list":          {`"slices":[{"cut":true},`, `"slices":[`, ""},
		"a field less":          {`"sort"`, `"kind"`, `body.sort: is missing: there is ["at" "id" "kind" "more" "slices" "toppings"]`},
		"another type":          {`"id":7`, `"id":"7"`, "body.id: is text, want a number"},
		"null":                  {`"id":7`, `"id":null`, "body.id: is null, want a number"},
		"no whole number":       {`"id":7`, `"id":7.5`, "body.id: is 7.5, want a whole number"},
		"another value":         {`"margherita"`, `"funghi"`, `body.sort: is "funghi", want "margherita"`},
		"another form":          {`09:00:00`, `9 a.m.`, `body.at: is "9 a.m.", which ^\d{2}:\d{2}:\d{2}$ does not match`},
		"a list of none":        {`[{"cut":true},{"cut":false}]`, `[]`, "body.slices: is empty"},
		"an element less":       {`["a","b"]`, `["a"]`, "body.toppings: has 1 elements, want 2"},
		"a field of an element": {`"cut":false`, `"c":false`, `body.slices[].cut: is missing: there is ["c"]`},
		"no JSON":               {`{`, ``, "body: invalid character ':' after top-level value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json; charset=UTF-8")
				w.Header().Set("Location", "/bake/7")
				_, _ = w.Write([]byte(strings.Replace(good, test.from, test.to, 1)))
			}))
			t.Cleanup(server.Close)
			provider := Provider{&apitest.Service{Public: server.URL, Client: server.Client()}, map[string]string{"key": "k-2"}}
			want := test.want
			if want != "" {
				want = `waiter → oven, "what is baked": ` + want
			}
			if got := text(baking(t).Verify(t.Context(), provider)); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}

// TestVerifyStatusAndHeaders checks that a wrong status is the only problem
// reported for a response.
func TestVerifyStatusAndHeaders(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte("<html>"))
	}))
	t.Cleanup(server.Close)
	provider := Provider{&apitest.Service{Public: server.URL, Client: server.Client()}, map[string]string{"key": "k-2"}}
	got := strings.Split(text(baking(t).Verify(t.Context(), provider)), "\n")
	who := `waiter → oven, "what is baked": `
	want := []string{
		who + "status: is 502, want 200: <html>",
		who + `headers.Content-Type: is "text/html", want "application/json"`,
		who + "headers.Location: is missing",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	provider.Values = nil
	if got, want := text(baking(t).Verify(t.Context(), provider)), who+`given "one is in" has no value for ${key}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestServe checks that a consumer that sends the contract's request gets the
// contract's response, and that other requests are rejected.
func TestServe(t *testing.T) {
	t.Parallel()
	const path, body = "/bake/?fast=1", `{"sort":"margherita"}`
	for name, test := range map[string]struct{ method, path, key, contentType, body, want string }{
		"as written":     {"POST", path, "k-1", "application/json", body, ""},
		"another method": {"PUT", path, "k-1", "application/json", body, "request: is PUT /bake/?fast=1, want POST /bake/?fast=1"},
		"another path":   {"POST", "/fry/?fast=1", "k-1", "application/json", body, "request: is POST /fry/?fast=1, want POST /bake/?fast=1"},
		"another query":  {"POST", "/bake/", "k-1", "application/json", body, "request: is POST /bake/, want POST /bake/?fast=1"},
		"another key":    {"POST", path, "k-2", "application/json", body, `request: headers.Authorization: is "Bearer k-2", want "Bearer k-1"`},
		"a form":         {"POST", path, "k-1", "application/x-www-form-urlencoded", "a=b", `request: want JSON, got "application/x-www-form-urlencoded": a=b`},
		"another body":   {"POST", path, "k-1", "application/json", `{"sort":"funghi"}`, "request: body: is map[sort:funghi], want map[sort:margherita]"},
		"a field more":   {"POST", path, "k-1", "application/json", `{"sort":"margherita","n":1}`, "request: body: is map[n:1 sort:margherita], want map[sort:margherita]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			filled, err := baking(t).fill(map[string]string{"key": "k-1"})
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequestWithContext(t.Context(), test.method, test.path, http.NoBody)
			r.Header.Set("Authorization", "Bearer "+test.key)
			r.Header.Set("Content-Type", test.contentType)
			if got := text(filled.Request.compare(r, []byte(test.body))); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
	t.Run("the answer", func(t *testing.T) {
		t.Parallel()
		i := baking(t)
		served := Provider{&apitest.Service{Public: i.Serve(t), Client: &http.Client{}}, i.With}
		if err := i.Verify(t.Context(), served); err != nil {
			t.Error("what is served is not what is written: ", err)
		}
	})
}

// verdict collects the failures of a test.
type verdict struct {
	testing.TB
	said []string
}

func (v *verdict) Error(args ...any) { v.said = append(v.said, fmt.Sprint(args...)) }
func (v *verdict) Errorf(format string, args ...any) {
	v.said = append(v.said, fmt.Sprintf(format, args...))
}

// TestServeSaysWhatIsNotWritten checks that a consumer fails if it sends requests
// that are not in the contract, or none.
func TestServeSaysWhatIsNotWritten(t *testing.T) {
	t.Parallel()
	v := &verdict{TB: t}
	c, err := parse([]byte(oven))
	if err != nil {
		t.Fatal(err)
	}
	request := Provider{&apitest.Service{Public: Serve(v, c), Client: &http.Client{}}, nil}
	if a := request.Call(t, http.MethodPost, "/fry/", ""); a.Status != http.StatusBadRequest {
		t.Errorf("status %d", a.Status)
	}
	want := `POST /fry/ is not in the contract: waiter → oven, "what is baked": request: is POST /fry/, want POST /bake/?fast=1`
	if len(v.said) != 1 || v.said[0] != want {
		t.Errorf("%q", v.said)
	}
	v = &verdict{TB: t}
	t.Run("nothing is asked", func(t *testing.T) {
		v.TB = t
		baking(t).Serve(v)
	})
	if want := `waiter → oven, "what is baked": the consumer sent no request`; len(v.said) != 1 || v.said[0] != want {
		t.Errorf("%q", v.said)
	}
}

// TestReadRefuses checks that a file that could pass for the wrong reason is rejected.
func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ from, to, want string }{
		"no consumer":              {"consumer: waiter", "", "consumer, provider, or interactions and events, are missing"},
		"a field nobody knows":     {"status:", "stats:", `unknown field "stats"`},
		"no state":                 {"given: one is in", "", `interaction 0, "what is baked", needs a given state, and a name of its own`},
		"a rule nobody knows":      {"exact", "exactly", `body.sort: there is no rule "exactly"`},
		"a rule about nothing":     {"body.sort:", "body.kind:", "body.kind: the rule matches no field of the example"},
		"an example of two":        {"[{cut: true}]", "[{cut: true}, {cut: true}]", "body.slices: the example of a list of any length has 1 element, not 2"},
		"a rule against its field": {"'18:30:05'", "half past six", `body.at: is "half past six", which ^\d{2}:\d{2}:\d{2}$ does not match`},
		"no regular expression":    {"'^/bake/'", "'^('", "headers.Location: error parsing regexp"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(oven, test.from, test.to, 1)
			if _, err := parse([]byte(changed)); changed == oven || !strings.Contains(text(err), test.want) {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}

// TestDocumented checks that consumers rely only on documented parts.
func TestDocumented(t *testing.T) {
	t.Parallel()
	const document = `
openapi: 3.0.3
info: {title: oven, version: 1.0.0}
paths:
  /bake/:
    post:
      responses:
        '200':
          description: It is in.
          headers: {Location: {schema: {type: string}}}
          content:
            application/json:
              schema:
                allOf:
                  - {type: object, properties: {id: {type: integer}, sort: {type: string, enum: [margherita]}, at: {type: string}}}
                  - type: object
                    properties:
                      slices: {type: array, items: {$ref: '#/components/schemas/Slice'}}
                      toppings: {type: array, items: {type: string}}
components:
  schemas:
    Slice: {type: object, properties: {cut: {type: boolean}}}
`
	for name, test := range map[string]struct{ from, to, want string }{
		"as written":     {"", "", ""},
		"another path":   {"/bake/:", "/fry/:", "the document has no POST /bake/?fast=1"},
		"another status": {"'200'", "'201'", "the document has no status 200"},
		"no header":      {"Location", "Place", "headers.Location: the document does not have it"},
		"no field":       {"cut:", "whole:", "body.slices[].cut: the document does not have it"},
		"another type":   {"id: {type: integer}", "id: {type: string}", "body.id: 1 does not match the document"},
		"another enum":   {"[margherita]", "[funghi]", `body.sort: "margherita" does not match the document`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := baking(t)
			got := text(i.documented(t, []byte(strings.Replace(document, test.from, test.to, 1))))
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestEvents checks that event fields that the consumer reads must match.
func TestEvents(t *testing.T) {
	t.Parallel()
	const written = `
consumer: waiter
provider: oven
events:
  - name: a pizza is baked
    type: pizza.baked
    body: {id: e-1, data: {pizza: 7, slices: [{grams: 80}]}}
    match: {body.data.pizza: integer, body.data.slices: each}
`
	c, err := parse([]byte(written))
	if err != nil {
		t.Fatal(err)
	}
	who := `waiter → oven, "a pizza is baked": `
	for name, test := range map[string]struct{ body, want string }{
		"as written":   {`{"id":"x","type":"y","data":{"pizza":1,"slices":[{"grams":1},{"grams":2}]}}`, ""},
		"a field less": {`{"id":"x","data":{"pizza":1,"slices":[{"weight":1}]}}`, who + `body.data.slices[].grams: is missing: there is ["weight"]`},
		"no JSON":      {`x`, who + `body: invalid character 'x' looking for beginning of value`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := text(c.Events[0].Verify([]byte(test.body))); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
	if got, want := text(c.Events[0].Verify(nil)), who+"body: no pizza.baked was heard"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	c.Hear(t, map[string]func(*testing.T, []byte){"a pizza is baked": func(t *testing.T, body []byte) {
		if err := c.Events[0].Verify(body); err != nil {
			t.Error("what is heard is not what is written: ", err)
		}
	}})
	const want = `event 0, "a pizza is baked", needs a type, and a name of its own`
	if _, err := parse([]byte(strings.Replace(written, "type: pizza.baked", "", 1))); text(err) != want {
		t.Errorf("%v, want %s", err, want)
	}
}
