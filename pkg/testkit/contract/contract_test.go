package contract

import (
	"fmt"
	"net/http"
	"net/http/httptest"
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
      headers: {Content-Type: application/json, Location: /bake/1, X-Oven: left}
      body: {id: 1, sort: margherita, at: '18:30:05', slices: [{cut: true}], toppings: [basil, salt], note: hot}
      match: {headers.Location: '^/bake/', body.note: '^', body.id: integer, body.sort: exact, body.at: time, body.slices: each}
`

const good = `{"id":7,"sort":"margherita","at":"09:00:00","slices":[{"cut":true},{"cut":false}],"toppings":["a","b"],"note":"","more":null}`

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
		"a field less":          {`"sort"`, `"kind"`, `body.sort: is missing: there is ["at" "id" "kind" "more" "note" "slices" "toppings"]`},
		"another type":          {`"id":7`, `"id":"7"`, `body.id: is "7", want a whole number`},
		"null":                  {`"id":7`, `"id":null`, "body.id: is null, want a whole number"},
		"another JSON type":     {`"cut":true`, `"cut":"yes"`, `body.slices[].cut: is "yes", want the type of true`},
		"no whole number":       {`"id":7`, `"id":7.5`, "body.id: is 7.5, want a whole number"},
		"another value":         {`"margherita"`, `"funghi"`, `body.sort: is "funghi", want "margherita"`},
		"another form":          {`09:00:00`, `9 a.m.`, `body.at: is "9 a.m.", which ^\d{2}:\d{2}:\d{2}$ does not match`},
		"no text":               {`"note":""`, `"note":1`, "body.note: is 1, which ^ does not match"},
		"a list of none":        {`[{"cut":true},{"cut":false}]`, `[]`, "body.slices: has 0 elements, want 1"},
		"an element less":       {`["a","b"]`, `["a"]`, "body.toppings: has 1 elements, want 2"},
		"a field of an element": {`"cut":false`, `"c":false`, `body.slices[].cut: is missing: there is ["c"]`},
		"a field of each":       {`{"cut":true},{"cut":false}`, `{"c":true},{"c":false}`, `body.slices[].cut: is missing: there is ["c"]`},
		"no JSON":               {`{`, ``, "body: invalid character ':' after top-level value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json; charset=UTF-8")
				w.Header().Set("Location", "/bake/7")
				w.Header().Set("X-Oven", "left")
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
	const who = `waiter → oven, "what is baked": `
	for status, want := range map[int]string{
		http.StatusBadGateway: who + "status: is 502, want 200: " + good,
		http.StatusOK: who + strings.Join([]string{
			`headers.Content-Type: is "text/html", which ^application/json(;|$) does not match`,
			`headers.Location: is missing: there is ["Content-Type" "X-Oven"]`,
			`headers.X-Oven: is "right", want "left"`,
		}, "\n"),
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("X-Oven", "right")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(good))
		}))
		t.Cleanup(server.Close)
		provider := Provider{&apitest.Service{Public: server.URL, Client: server.Client()}, map[string]string{"key": "k-2"}}
		if got := text(baking(t).Verify(t.Context(), provider)); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
		provider.Values = nil
		if got, want := text(baking(t).Verify(t.Context(), provider)), who+`given "one is in" has no value for ${key}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestServe checks that a consumer that sends the contract's request gets the
// contract's response, and that other requests are rejected.
func TestServe(t *testing.T) {
	t.Parallel()
	const path, body, form = "/bake/?fast=1", `{"sort":"margherita"}`, "application/x-www-form-urlencoded"
	sent := func(method, path, key, rest string) string {
		return fmt.Sprintf(`{"method":%q,"path":%q,"headers":{"Authorization":"Bearer %s"}%s}`, method, path, key, rest)
	}
	for name, test := range map[string]struct {
		method, path, key, contentType, body string
		want                                 string // how the body is shown
	}{
		"as written":     {"POST", path, "k-1", jsonType, body, ""},
		"another method": {"PUT", path, "k-1", jsonType, body, `,"body":` + body},
		"another path":   {"POST", "/fry/?fast=1", "k-1", jsonType, body, `,"body":` + body},
		"another query":  {"POST", "/bake/", "k-1", jsonType, body, `,"body":` + body},
		"another key":    {"POST", path, "k-2", jsonType, body, `,"body":` + body},
		"a form":         {"POST", path, "k-1", form, "a=b", `,"form":{"a":"b"}`},
		"text":           {"POST", path, "k-1", "text/plain", body, `,"body":"{\"sort\":\"margherita\"}"`},
		"another body":   {"POST", path, "k-1", jsonType, `{"sort":"funghi"}`, `,"body":{"sort":"funghi"}`},
		"a field more":   {"POST", path, "k-1", jsonType, `{"sort":"margherita","n":1}`, `,"body":{"n":1,"sort":"margherita"}`},
		"no JSON":        {"POST", path, "k-1", jsonType, `{`, `,"body":"{"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), test.method, test.path, strings.NewReader(test.body))
			r.Header.Set("Authorization", "Bearer "+test.key)
			r.Header.Set("Content-Type", test.contentType)
			got, err := received(r)
			if err != nil {
				t.Fatal(err)
			}
			want := ""
			if test.want != "" {
				want = "request: is " + sent(test.method, test.path, test.key, test.want) +
					", want " + sent("POST", path, "k-1", `,"body":`+body)
			}
			if got := text(baking(t).example.Request.compare(got)); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
	t.Run("the answer", func(t *testing.T) {
		t.Parallel()
		i := baking(t)
		served := Provider{&apitest.Service{Public: Serve(t, &Contract{Interactions: []Interaction{*i}}), Client: &http.Client{}}, i.With}
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

func (v *verdict) Fatalf(format string, args ...any) { v.Errorf(format, args...) }

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
	want := `POST /fry/ is not in the contract: waiter → oven, "what is baked": request: is {"method":"POST","path":"/fry/","headers":{"Authorization":""}}, want {"method":"POST"`
	if len(v.said) != 1 || !strings.HasPrefix(v.said[0], want) {
		t.Errorf("%q", v.said)
	}
	v = &verdict{TB: t}
	t.Run("nothing is asked", func(t *testing.T) {
		v.TB = t
		Serve(v, c)
	})
	if want := `waiter → oven, "what is baked": the consumer sent no request`; len(v.said) != 1 || v.said[0] != want {
		t.Errorf("%q", v.said)
	}
}

// TestPair: what is written and not checked fails, and so does what is checked and
// not written.
func TestPair(t *testing.T) {
	t.Parallel()
	for given, ok := range map[string]bool{"a b": true, "a": false, "b": false, "a b c": false} {
		v, checks := &verdict{TB: t}, map[string]int{}
		for _, name := range strings.Fields(given) {
			checks[name] = 1
		}
		if pair(v, "checks", map[string]bool{"a": true, "b": true}, checks); (len(v.said) == 0) != ok {
			t.Errorf("%s: %q", given, v.said)
		}
	}
}

// TestReadRefuses: a file that could pass for the wrong reason is refused.
func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ from, to, want string }{
		"no consumer":              {"consumer: waiter", "", "consumer, provider, or interactions and events, are missing"},
		"a field nobody knows":     {"status:", "stats:", `unknown field "stats"`},
		"no state":                 {"given: one is in", "", `interaction 0, "what is baked", needs a given state, and a name of its own`},
		"a name twice":             {"each}\n", "each}\n  - {name: what is baked, given: x}\n", `interaction 1, "what is baked", needs`},
		"a body and a form":        {"{sort: margherita}}", "{sort: margherita}, form: {a: b}}", "a request has a body or a form"},
		"a rule nobody knows":      {"exact", "exactly", `body.sort: there is no rule "exactly"`},
		"a rule about nothing":     {"body.sort:", "body.kind:", "body.kind: the rule matches no field of the example"},
		"an example of two":        {"[{cut: true}]", "[{cut: true}, {cut: true}]", "body.slices: the example of a list of any length has 1 element, not 2"},
		"a rule against its field": {"'18:30:05'", "half past six", `body.at: is "half past six", which ^\d{2}:\d{2}:\d{2}$ does not match`},
		"a value nobody gives":     {"Bearer ${key}", "Bearer ${kay}", "a ${name} is not one of the values in with: {"},
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
          headers: {Location: {schema: {type: string}}, X-Oven: {schema: {type: string}}}
          content:
            application/json:
              schema:
                allOf:
                  - type: object
                    required: [id, price]
                    properties: {id: {type: integer}, sort: {type: string, enum: [margherita]}, at: {type: string}}
                  - type: object
                    properties:
                      slices: {type: array, items: {$ref: '#/components/schemas/Slice'}}
                      toppings: {type: array, items: {type: string}}
                      note: {type: string}
components:
  schemas:
    Slice: {type: object, required: [weight], properties: {cut: {type: boolean}}}
`
	for name, test := range map[string]struct{ from, to, want string }{
		"as written":     {"", "", ""},
		"another path":   {"/bake/:", "/fry/:", "the document has no POST /bake/?fast=1"},
		"another status": {"'200'", "'201'", "the document has no status 200"},
		"another medium": {"application/json", "text/html", "the document has no application/json with status 200"},
		"no header":      {"Location", "Place", "headers.Location: the document does not have it"},
		"no field":       {"cut:", "whole:", `body: is nothing that the document has: Error at "/slices/0": property "cut" is unsupported`},
		"another type":   {"id: {type: integer}", "id: {type: string}", `body: is nothing that the document has: Error at "/id": value must be a string`},
		"another enum":   {"[margherita]", "[funghi]", `body: is nothing that the document has: Error at "/sort": value is not one of the allowed values`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := baking(t)
			got := text(i.documented(apitest.New(t, nil, []byte(strings.Replace(document, test.from, test.to, 1)))))
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
	if got, want := text(c.Events[0].Verify(nil)), who+"body: unexpected end of JSON input"; got != want {
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
