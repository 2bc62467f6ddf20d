package parity

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"example.com/pizza/pkg/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// says answers with a status, headers as "Name: value", and a body.
func says(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// serve starts a server and returns its address.
func serve(t *testing.T, h http.Handler) *url.URL {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	u, err := ParseBase(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func options(t *testing.T, old, ours http.Handler) Options {
	t.Helper()
	return Options{
		Old: serve(t, old), New: serve(t, ours), Timeout: 10 * time.Second, Again: time.Millisecond, Concurrency: 4,
		MaxBody: 1 << 20,
	}
}

// rulesOf reads rules as from a file.
func rulesOf(t *testing.T, rules ...Rule) Rules {
	t.Helper()
	for i := range rules {
		if rules[i].Reason == "" {
			rules[i].Reason = "it is meant so"
		}
		if err := rules[i].compile(); err != nil {
			t.Fatal(err)
		}
	}
	return rules
}

func replay(t *testing.T, o Options, requests ...Request) *Report {
	t.Helper()
	if len(requests) == 0 {
		requests = []Request{{Method: http.MethodGet, Path: "/api/menu/"}}
	}
	report, err := Replay(t.Context(), o, requests, 0)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// TestDifferences has one case for each family.
func TestDifferences(t *testing.T) {
	t.Parallel()
	const menu = `[{"id":"a","price":12.5},{"id":"b","price":9}]`
	json := func(body string) http.HandlerFunc { return says(200, body) }
	tests := map[string]struct {
		old, ours http.HandlerFunc
		want      []string // what, kind, old, new
	}{
		"same":            {json(menu), json(menu), nil},
		"spaces_and_keys": {json(`{"a":1,"b":2}`), json("{ \"b\" : 2,\n\"a\":1 }"), nil},
		"number_formats":  {json(`[12.5, 1e3, -0, 20.750]`), json(`[12.50, 1000, 0, 2.075E+1]`), nil},
		"precise_number":  {json(`0.1`), json(`0.10000000000000001`), []string{"body value 0.1 0.10000000000000001"}},
		"value":           {json(menu), json(strings.Replace(menu, "9", "10", 1)), []string{"body /*/price value 9 10"}},
		"number_as_text":  {json(`{"price":9}`), json(`{"price":"9"}`), []string{`body /price value 9 "9"`}},
		"key_missing":     {json(`{"a":1,"b":null}`), json(`{"a":1}`), []string{"body /b value null absent"}},
		"key_extra":       {json(`{"a":1}`), json(`{"a":1,"b":{}}`), []string{"body /b value absent {}"}},
		"text_absent":     {json(`{"b":"absent"}`), json(`{}`), []string{`body /b value "absent" absent`}},
		"order": {
			json(menu), json(`[{"id":"b","price":9},{"id":"a","price":12.50}]`),
			[]string{"body order 2 elements in another order 2 elements in another order"},
		},
		"order_beside_an_added_key": {
			json(`[{"id":"a"},{"id":"b"}]`), json(`[{"id":"b","n":1},{"id":"a","n":2}]`),
			[]string{
				"body /*/n value absent 2", "body order 2 elements in another order 2 elements in another order",
			},
		},
		"element_missing": {json(menu), json(`[{"id":"b","price":9}]`), []string{"body length 2 elements 1 element"}},
		"unicode_form": {
			json(`{"n":"\uae40"}`), json(`{"n":"\u1100\u1175\u11b7"}`),
			[]string{`body /n unicode "\uae40" "\u1100\u1175\u11b7"`},
		},
		"pointer_escapes": {json(`{"a/b~":1}`), json(`{"a/b~":2}`), []string{"body /a~1b~0 value 1 2"}},
		"status":          {json(menu), says(404, `{"detail":"x"}`), []string{"status value 200 404"}},
		"status_of_errors": {
			says(403, `{"detail":"x"}`), says(401, `{"detail":"y"}`),
			[]string{"status value 403 401", `body /detail value "x" "y"`},
		},
		"content_type": {
			json(menu), says(200, menu, "Content-Type: text/html"),
			[]string{"header Content-Type value application/json text/html"},
		},
		"charset_of_json": {json(menu), says(200, menu, "Content-Type: application/json; charset=UTF-8"), nil},
		"redirect_elsewhere": {
			says(302, "", "Location: /a"), says(302, "", "Location: /b"), []string{"header Location value /a /b"},
		},
		"invalid_json":    {json(`[1]`), json(`[1`), []string{`body value [1] not JSON: "[1"`}},
		"more_after_json": {json(`1`), json(`1 2`), []string{`body value 1 not JSON: "1 2"`}},
		"neither_is_json": {json(`<p>a`), json(`<p>b`), []string{`body value not JSON: "<p>a" not JSON: "<p>b"`}},
		"body_missing":    {json(`1`), json(``), []string{`body value 1 absent`}},
		"token_hidden": {
			json(`{"token":"aaa"}`), json(`{"token":{"x":"bbb"}}`), []string{"body /token value [secret] [secret]"},
		},
		"token_in_an_added_value": {
			json(`{}`), json(`{"session":{"token":"bbb"}}`), []string{`body /session value absent {"token":"[secret]"}`},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := replay(t, options(t, tc.old, tc.ours))
			var got []string
			for _, r := range report.Recent {
				for _, d := range r.Differences {
					got = append(got, strings.Join([]string{d.What, d.Kind, d.Old, d.New}, " "))
				}
				if strings.Contains(r.Diff, "aaa") || strings.Contains(r.Diff, "bbb") {
					t.Errorf("a secret in\n%s", r.Diff)
				}
			}
			if diff := gocmp.Diff(tc.want, got); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
			if report.Parity != (tc.want == nil) || report.Totals.Requests != 1 {
				t.Errorf("parity %v of %+v", report.Parity, report.Totals)
			}
		})
	}
}

// TestFailures has answers that cannot be compared, which is no parity.
func TestFailures(t *testing.T) {
	t.Parallel()
	good := says(200, `1`)
	hangs := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	half := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "[1")
	}
	tests := map[string]struct {
		old, ours http.HandlerFunc
		want      string
	}{
		"new_hangs":    {good, hangs, "new: no answer within 200ms"},
		"old_hangs":    {hangs, good, "old: no answer within 200ms"},
		"half":         {good, half, "new: unexpected EOF"},
		"huge":         {good, says(200, strings.Repeat(" ", 2<<20)), "new: the answer is longer than 1048576 bytes"},
		"both_fail":    {says(502, ""), says(503, ""), "both fail: old 502, new 503"},
		"rate_limited": {good, says(429, ""), "a rate limit refuses it: old 200, new 429"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t, tc.old, tc.ours)
			if strings.HasSuffix(name, "hangs") {
				o.Timeout = 200 * time.Millisecond
			}
			report := replay(t, o)
			if report.Parity || report.Totals.Failed != 1 || report.Recent[0].Error != tc.want {
				t.Errorf("%+v, %+v; want %s", report.Totals, report.Recent, tc.want)
			}
		})
	}
	t.Run("new_down", func(t *testing.T) {
		t.Parallel()
		o := options(t, good, good)
		gone := httptest.NewServer(good)
		gone.Close()
		o.New, _ = url.Parse(gone.URL)
		report := replay(t, o, Request{Method: http.MethodGet, Path: "/api/menu/?q=of+somebody"})
		e := report.Recent[0].Error
		if report.Totals.Failed != 1 || !strings.Contains(e, "refused") || strings.Contains(e, "somebody") {
			t.Errorf("%+v: %s", report.Totals, e)
		}
	})
}

// TestRedirectIsNotFollowed also checks that the own address in Location does not differ.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var followed atomic.Int32
	redirects := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/b" {
			followed.Add(1)
		}
		w.Header().Set("Location", "http://"+r.Host+"/b?c")
		w.WriteHeader(http.StatusFound)
	}
	report := replay(t, options(t, http.HandlerFunc(redirects), http.HandlerFunc(redirects)))
	if !report.Parity || followed.Load() != 0 {
		t.Errorf("%+v, %d followed", report.Recent, followed.Load())
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	old, ours := says(200, `[{"id":1,"p":5},{"id":2,"p":5}]`), says(200, `[{"id":1,"p":6,"u":1},{"id":2,"p":7,"u":null}]`)
	added := Rule{Path: "/api/menu/", What: []string{"body /*/u"}, Old: "absent", New: `null|\d+`}
	price := Rule{Path: "/api/menu/", What: []string{"body /*/p"}, Old: "5", New: "6"}
	other := Rule{Path: "/other", What: []string{"status"}}
	stale := Rule{Path: ".*", What: []string{"status"}}
	o := options(t, old, ours)

	o.Rules = rulesOf(t, added, price, other, stale)
	report := replay(t, o)
	want := []string{"body /*/p it is meant so 1", "body /*/u it is meant so 2", "body /*/p  1"} // the 7 is not expected
	var got []string
	for _, d := range report.Recent[0].Differences {
		got = append(got, fmt.Sprintf("%s %s %d", d.What, d.Reason, d.Count))
	}
	if diff := gocmp.Diff(want, got); diff != "" || report.Totals.Different != 1 {
		t.Errorf("%+v, differences (-want +got):\n%s", report.Totals, diff)
	}
	var matched []int
	var isStale []bool
	for _, u := range report.Rules {
		matched, isStale = append(matched, u.Matched), append(isStale, u.Stale())
	}
	if !slices.Equal(matched, []int{2, 1, 0, 0}) || !slices.Equal(isStale, []bool{false, false, false, true}) {
		t.Errorf("matched %v, stale %v", matched, isStale)
	}

	price.New = "[67]"
	o.Rules = rulesOf(t, added, price)
	if report := replay(t, o); !report.Parity || report.Totals.Intended != 1 {
		t.Errorf("%+v: %+v", report.Totals, report.Recent)
	}
}

func TestRulesAreChecked(t *testing.T) {
	t.Parallel()
	rules, err := ReadRules("")
	if err != nil || len(rules) < 5 {
		t.Fatalf("%d default rules, %v", len(rules), err)
	}
	tests := map[string]Rule{
		"without_reason": {Path: ".*", What: []string{"status"}},
		"without_path":   {What: []string{"status"}, Reason: "x"},
		"unknown_what":   {Path: ".*", What: []string{"cookies"}, Reason: "x"},
		"no_pattern":     {Path: "(", What: []string{"status"}, Reason: "x"},
	}
	for name, rule := range tests {
		if rule.compile() == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// TestDefaultRules compares the answers of the design document's monolith and of the contract.
func TestDefaultRules(t *testing.T) {
	t.Parallel()
	rules, err := ReadRules("")
	if err != nil {
		t.Fatal(err)
	}
	const mine = "/api/order/myorder/"
	slash := says(301, "", "Location: /api/menu/")
	problem := func(status int, text string) http.HandlerFunc {
		const body = `{"type":"about:blank","title":"x","status":%d,"detail":%q,"error":%[2]q,"trace_id":"1"}`
		return says(status, fmt.Sprintf(body, status, text), "Content-Type: application/problem+json")
	}
	tests := map[string]struct {
		path      string
		old, ours http.HandlerFunc
		parity    bool
	}{
		"slash":        {"/api/menu", slash, says(200, "[]"), true},
		"slash_breaks": {"/api/menu", slash, says(500, "{}"), false},
		"no_token":     {mine, says(403, `{"detail":"not provided"}`), problem(401, "a token is required"), true},
		"error": {
			"/api/menu/get_pizza_id/", says(404, `{"error":"Pizza not found"}`), problem(404, "no such pizza"), true,
		},
		"unit_price":    {mine, says(200, `[{"id":1}]`), says(200, `[{"id":1,"unit_price":null}]`), true},
		"lost_orders":   {mine, says(200, `[{"id":1},{"id":2}]`), says(200, `[{"id":1}]`), false},
		"price_is_text": {"/api/menu/", says(200, `[{"price":1}]`), says(200, `[{"price":"1"}]`), false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t, tc.old, tc.ours)
			o.Rules = rules
			report := replay(t, o, Request{Method: http.MethodGet, Path: tc.path})
			if report.Parity != tc.parity || report.Totals.Same != 0 {
				t.Errorf("%+v: %+v", report.Totals, report.Recent)
			}
		})
	}
}

// TestReadsAreSentAgain checks that a change between two answers is no difference, while a
// lasting one is, and that a write is sent once.
func TestReadsAreSentAgain(t *testing.T) {
	t.Parallel()
	var reads, writes atomic.Int32
	changing := func(w http.ResponseWriter, r *http.Request) {
		n := &reads
		if r.Method == http.MethodPost {
			n = &writes
		}
		says(200, fmt.Sprint(min(n.Add(1), 2)))(w, r)
	}
	o := options(t, says(200, "2"), http.HandlerFunc(changing))
	if report := replay(t, o); report.Totals.Same != 1 || reads.Load() != 2 {
		t.Errorf("%+v after %d reads", report.Totals, reads.Load())
	}
	write := Request{Method: http.MethodPost, Path: "/api/order/"}
	if report := replay(t, o, write); report.Totals.Different != 1 || writes.Load() != 1 {
		t.Errorf("%+v after %d writes", report.Totals, writes.Load())
	}
}

// TestMembers checks that each side gets its own token, and that no secret is reported.
func TestMembers(t *testing.T) {
	t.Parallel()
	system := func(token string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/api/login/" {
				var in struct{ ID, PW string }
				if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.ID != "demo" || in.PW != "secret-password" {
					says(401, `{"detail":"wrong `+in.PW+`"}`)(w, r)
					return
				}
				says(200, `{"token":"`+token+`"}`)(w, r)
				return
			}
			says(200, fmt.Sprint(r.Header.Get("Authorization") == "Bearer "+token))(w, r)
		}
	}
	o := options(t, system("token-of-old"), system("token-of-new"))
	request := Request{Method: http.MethodGet, Path: "/api/order/myorder/", As: "demo"}
	o.Logins = map[string]secret.Text{"demo": "secret-password"}
	report := replay(t, o, request)
	var out strings.Builder
	for _, err := range []error{report.Write(&out), report.WritePage(&out), json.NewEncoder(&out).Encode(report)} {
		if err != nil {
			t.Error(err)
		}
	}
	if !report.Parity || strings.Contains(out.String(), "secret-password") || strings.Contains(out.String(), "token-of") {
		t.Errorf("%+v, in\n%s", report.Totals, out.String())
	}
	o.Logins = map[string]secret.Text{"demo": "wrong-password"}
	_, err := Replay(t.Context(), o, []Request{request}, 0)
	if err == nil || err.Error() != "log demo in to the old system: status 401 without a token" {
		t.Error(err)
	}
}

func TestReadRequests(t *testing.T) {
	t.Parallel()
	const file = `
{"path":"/api/menu/","name":"the menu"}
{"path":"/api/menu/","name":"the menu"}
{"method":"GET","path":"/login/logout"}
{"method":"POST","path":"/menu/get_pizza_id","body":{"name":"x"}}
{"method":"POST","path":"/api/order/","body":"a=b"}
{"RequestMethod":"GET","RequestPath":"/api/menu/types/","ClientAddr":"10.0.0.1","DownstreamStatus":200}
{"request_method":"GET","request_uri":"/api/menu/?q=a","status":"200"}
{"request_method":"POST","request_uri":"/api/menu/get_pizza_id/"}
`
	for writes, want := range map[bool][]string{
		false: {"GET /api/menu/", "POST /menu/get_pizza_id", "GET /api/menu/types/", "GET /api/menu/?q=a"},
		true: {
			"GET /api/menu/", "GET /login/logout", "POST /menu/get_pizza_id", "POST /api/order/", "GET /api/menu/types/",
			"GET /api/menu/?q=a",
		},
	} {
		requests, leftOut, err := ReadRequests(strings.NewReader(file), writes)
		var got []string
		for _, q := range requests {
			got = append(got, q.Method+" "+q.Path)
		}
		if diff := gocmp.Diff(want, got); diff != "" || err != nil || leftOut+len(got) != 7 {
			t.Errorf("%d left out, %v (-want +got):\n%s", leftOut, err, diff)
		}
	}
	for _, bad := range []string{"", "{", `{"method":"GET"}`, `{"path":"menu"}`, `{"method":"DELETE","path":"/a"}`} {
		if _, _, err := ReadRequests(strings.NewReader(bad), false); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	o := options(t, says(200, `[{"id":"a","price":12.5}]`), says(200, `[{"id":"a","price":13,"<b>":1}]`))
	long := "a key that is added, with a reason that is too long for one line of a terminal"
	o.Rules = rulesOf(t, Rule{Path: ".*", What: []string{"body /*/<b>"}, Reason: long},
		Rule{Path: ".*", What: []string{"status"}, Reason: "stale"})
	report := replay(t, o, Request{Method: http.MethodGet, Path: "/api/order/0199f0c4/", Name: "an order"})
	var out, page strings.Builder
	if err := report.Write(&out); err != nil {
		t.Fatal(err)
	}
	if err := report.WritePage(&page); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if len([]rune(line)) > width+1 {
			t.Errorf("longer than %d: %s", width, line)
		}
	}
	for _, want := range []string{
		"GET /api/order/*/                        1      0         0          1       0\n",
		"GET /api/order/0199f0c4/ (an order)\n  body /*/price\n    old 12.5\n    new 13\n",
		`-   "price": `, "      1  a key that is added", "warning", "status: stale", "\ndifferent: http://",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if !strings.Contains(page.String(), "body /*/&lt;b&gt;") || strings.Contains(page.String(), "<b>") {
		t.Errorf("the page\n%s", page.String())
	}
	if age := time.Since(report.At); age < 0 || age > time.Minute {
		t.Errorf("at %v", report.At)
	}
}

// FuzzCompare checks that no body stops the comparison, that a body equals itself, and that
// the sides may be exchanged.
func FuzzCompare(f *testing.F) {
	for _, seed := range [][2]string{
		{`[{"a":1},{"b":2}]`, `[{"b":2.0},{"a":1}]`}, {`{"a":{}}`, `{}`}, {`1e9999999999`, `1e-9`}, {`[1,2,2]`, `[2,1]`},
		{`"\uae40"`, `"\u1100\u1175\u11b7"`}, {`{`, `null`}, {`{"token":[1]}`, `{"token":1}`}, {`-0.0`, `0e5`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		old, ours := &Answer{Status: 200, Body: []byte(a)}, &Answer{Status: 200, Body: []byte(b)}
		if same := compare(old, &Answer{Status: 200, Body: []byte(a + " ")}); json.Valid(old.Body) && len(same) > 0 {
			t.Errorf("differs from itself: %+v", same)
		}
		list := func(all []Difference, swap bool) (texts []string) {
			for _, d := range all {
				if swap {
					d.Old, d.New = d.New, d.Old
				}
				texts = append(texts, fmt.Sprintf("%s %s %s %s", d.What, d.Kind, d.Old, d.New))
				around(d)
			}
			slices.Sort(texts)
			return texts
		}
		if diff := gocmp.Diff(list(compare(old, ours), false), list(compare(ours, old), true)); diff != "" {
			t.Errorf("not symmetric:\n%s", diff)
		}
	})
}
