package bind_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/pkg/bind"
	"example.com/pizza/pkg/fault"
)

const (
	mustBeText   = "must be a string"
	mustBeWhole  = "must be a whole number"
	outOfRange   = "is out of range"
	mustBeMoney  = "must be a decimal number with at most 2 digits after the point"
	mustBeList   = "must be a list"
	mustBeObject = "must be an object"
	noNUL        = "must not contain a NUL character"
	notUTF8      = "must be UTF-8"
	half         = "must not contain half of a surrogate pair"
	once         = "must be given once"
)

// numbered returns n different fields of an object.
func numbered(n int) []string {
	fields := make([]string, n)
	for i := range fields {
		fields[i] = fmt.Sprintf(`"x%d":%d`, i, i)
	}
	return fields
}

// The walk continues after a bad field, in lists and objects too.
func TestEveryBadFieldIsNamed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		contentType, body string
		want              []fault.Field
	}{
		"every_type": {asJSON, `{"name":7,"weight":"2","floor":true,"signed":"true","value":"9.5","lines":{},"codes":"x","to":[],"city":{}}`, []fault.Field{
			{Field: "name", Message: mustBeText}, {Field: "weight", Message: mustBeWhole}, {Field: "floor", Message: mustBeWhole},
			{Field: "signed", Message: "must be true or false"}, {Field: "value", Message: mustBeMoney}, {Field: "lines", Message: mustBeList},
			{Field: "codes", Message: mustBeList}, {Field: "to", Message: mustBeObject}, {Field: "city", Message: mustBeText},
		}},
		"every_type_in_a_form": {asForm, "weight=two&floor=&signed=yes&value=cheap&lines=1&codes=[&to=x", []fault.Field{
			{Field: "weight", Message: mustBeWhole}, {Field: "floor", Message: mustBeWhole},
			{Field: "signed", Message: "must be true or false"}, {Field: "value", Message: mustBeMoney}, {Field: "lines", Message: mustBeList},
			{Field: "codes", Message: mustBeList}, {Field: "to", Message: mustBeObject},
		}},
		"inside_lists": {asJSON, `{"lines":[{"item":"ok"},{"item":7},null,5,[],{"not":[1,"2",null,[3]]}],"codes":["a",1,null]}`, []fault.Field{
			{Field: "lines[1].item", Message: mustBeText}, {Field: "lines[2]", Message: "must not be null"},
			{Field: "lines[3]", Message: mustBeObject}, {Field: "lines[4]", Message: mustBeObject},
			{Field: "lines[5].not[1]", Message: mustBeWhole}, {Field: "lines[5].not[2]", Message: "must not be null"},
			{Field: "lines[5].not[3]", Message: mustBeWhole},
			{Field: "codes[1]", Message: mustBeText}, {Field: "codes[2]", Message: "must not be null"},
		}},
		"inside_lists_of_a_form": {asForm, `lines=[{"item":7},{"not":{}}]`, []fault.Field{
			{Field: "lines[0].item", Message: mustBeText}, {Field: "lines[1].not", Message: mustBeList},
		}},
		"inside_objects": {asJSON, `{"to":{"street":7,"next":{"street":[],"next":1}}}`, []fault.Field{
			{Field: "to.street", Message: mustBeText}, {Field: "to.next.street", Message: mustBeText}, {Field: "to.next.next", Message: mustBeObject},
		}},
		"fractions": {asJSON, `{"weight":1.5,"floor":-0.5,"value":0.001}`, []fault.Field{
			{Field: "weight", Message: mustBeWhole}, {Field: "floor", Message: mustBeWhole}, {Field: "value", Message: mustBeMoney},
		}},
		"over_the_float_range": {asJSON, `{"weight":1e400,"floor":-1e999999999,"value":1e999999999}`, []fault.Field{
			{Field: "weight", Message: outOfRange}, {Field: "floor", Message: outOfRange}, {Field: "value", Message: mustBeMoney},
		}},
		"over_the_range": {asJSON, `{"weight":9007199254740992,"floor":2147483648,"value":100000000}`, []fault.Field{
			{Field: "weight", Message: outOfRange}, {Field: "floor", Message: outOfRange}, {Field: "value", Message: mustBeMoney},
		}},
		"numbers_that_json_has_not": {asForm, "weight=NaN&floor=0x10&value=Infinity", []fault.Field{
			{Field: "weight", Message: mustBeWhole}, {Field: "floor", Message: mustBeWhole}, {Field: "value", Message: mustBeMoney},
		}},
		"nul": {asJSON, `{"name":"a\u0000b","codes":["\u0000"],"to":{"street":"\u0000"}}`, []fault.Field{
			{Field: "name", Message: noNUL}, {Field: "codes[0]", Message: noNUL}, {Field: "to.street", Message: noNUL},
		}},
		"nul_in_a_form": {asForm, `name=a%00b&codes=["\u0000"]`, []fault.Field{{Field: "name", Message: noNUL}, {Field: "codes[0]", Message: noNUL}}},
		"given_twice_in_a_form": {asForm, "city=a&name=x&city=a&name=y&weight=x", []fault.Field{
			{Field: "city", Message: once}, {Field: "name", Message: once}, {Field: "weight", Message: mustBeWhole},
		}},
		"lone_surrogates": {asJSON, `{"name":"sur\ud800x","codes":["\udc00","\udc00\ud800","\ud83c\udf55","\ud800\ud800\udc00","\ud800\u0041"],"to":{"street":"\uDFFF"},"weight":"x"}`, []fault.Field{
			{Field: "name", Message: half}, {Field: "codes[0]", Message: half}, {Field: "codes[1]", Message: half}, {Field: "codes[3]", Message: half},
			{Field: "codes[4]", Message: half}, {Field: "to.street", Message: half}, {Field: "weight", Message: mustBeWhole},
		}},
		"lone_surrogates_that_nobody_reads": {asJSON, `{"x":[{"y":"\ud800"}],"z":"\\\ud800"}`, []fault.Field{
			{Field: "x[0].y", Message: half}, {Field: "z", Message: half},
		}},
		"lone_surrogate_in_a_name": {asJSON, `{"na\ud800me":1,"to":{"\udc00":{"a":"\ud800"}}}`, []fault.Field{
			{Field: "na\ufffdme", Message: "has a name that " + half}, {Field: "to.\ufffd", Message: "has a name that " + half}, {Field: "to.\ufffd.a", Message: half},
		}},
		"lone_surrogate_in_a_form": {asForm, `codes=["\ud800"]&lines=[{"item":"\udc00","item":""}]`, []fault.Field{
			{Field: "lines[0].item", Message: half}, {Field: "codes[0]", Message: half},
		}},
		"broken_bytes": {asJSON, "{\"name\":\"a\xff\",\"x\":[\"\xed\xa0\x80\"],\"\xc0\xaf\":1}", []fault.Field{
			{Field: "name", Message: notUTF8}, {Field: "x[0]", Message: notUTF8}, {Field: "\ufffd", Message: "has a name that " + notUTF8},
		}},
		"broken_bytes_in_a_form": {asForm, "name=%ff&x=%ea&x=%b0%80&city=%ed%a0%80&%ff=1&y=1&y=%ff", []fault.Field{
			{Field: "name", Message: notUTF8}, {Field: "x", Message: notUTF8}, {Field: "city", Message: notUTF8},
			{Field: "\ufffd", Message: "has a name that " + notUTF8}, {Field: "y", Message: notUTF8},
		}},
		"given_twice": {asJSON, `{"name":"a","n\u0061me":"a","name":7,"weight":1.5,"x":[{"y":1,"y":2}],"to":{"street":"a","street":"a"},"":1,"":2}`, []fault.Field{
			{Field: "name", Message: once}, {Field: "x[0].y", Message: once}, {Field: "to.street", Message: once}, {Field: "", Message: once},
			{Field: "weight", Message: mustBeWhole},
		}},
		"given_twice_and_null":          {asJSON, `{"name":null,"name":"a"}`, []fault.Field{{Field: "name", Message: once}}},
		"given_twice_of_many_names":     {asJSON, `{` + strings.Join(numbered(50), ",") + `,"x49":1,"x3":1}`, []fault.Field{{Field: "x49", Message: once}, {Field: "x3", Message: once}}},
		"given_twice_in_json_in_a_form": {asForm, `to={"street":"a","street":"b"}`, []fault.Field{{Field: "to.street", Message: once}}},
		"names_of_one_field_differ": {asJSON, `{"title":"b","name":"a","label":"c"}`, []fault.Field{
			{Field: "title", Message: "must not differ from name, which is the same field"}, {Field: "label", Message: "must not differ from name, which is the same field"},
		}},
		"second_names_of_one_field_differ": {asForm, `label=c&title=b`, []fault.Field{
			{Field: "label", Message: "must not differ from title, which is the same field"},
		}},
		"a_bad_name_of_a_field_differs_from_none": {asJSON, `{"title":7,"name":"a"}`, []fault.Field{{Field: "title", Message: mustBeText}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := read(test.contentType, test.body, &parcel{})
			var e *fault.Error
			if !errors.As(err, &e) || e.Code != fault.Invalid {
				t.Fatalf("%v, want Invalid", err)
			}
			if diff := cmp.Diff(test.want, e.Fields); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The number of reported fields is bounded.
func TestReportIsBounded(t *testing.T) {
	t.Parallel()
	body := `{"codes":[` + strings.TrimSuffix(strings.Repeat("1,", 30_000), ",") + `]}`
	var e *fault.Error
	if err := bind.JSON([]byte(body), &parcel{}); !errors.As(err, &e) || len(e.Fields) != 100 {
		t.Fatalf("%d fields are reported", len(e.Fields))
	}
}

// So is the length of a reported path, for long names and deep nesting.
func TestReportedPathsAreBounded(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"long": `{"` + strings.Repeat("피", 5000) + `":"\ud800"}`,
		"deep": strings.Repeat(`{"a":`, 5000) + `"\ud800"` + strings.Repeat("}", 5000),
	} {
		var e *fault.Error
		if err := bind.JSON([]byte(body), &parcel{}); !errors.As(err, &e) || len(e.Fields) != 1 || len(e.Fields[0].Field) > 210 || !utf8.ValidString(e.Fields[0].Field) {
			t.Errorf("%s: %+v", name, err)
		}
	}
}

// A type that the walk cannot read is our defect, not the caller's.
func TestUnknownTypePanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "no rule to read a float64") {
			t.Errorf("panic %q", got)
		}
	}()
	_ = bind.JSON([]byte(`{"x":1.5}`), &struct {
		X float64 `json:"x"`
	}{})
}

// mustBeClean checks what both dialects guarantee for accepted bodies.
func mustBeClean(t *testing.T, err error, p parcel) {
	t.Helper()
	if err != nil {
		var e *fault.Error
		if !errors.As(err, &e) || e.Code != fault.Invalid {
			t.Errorf("%v, want Invalid", err)
		}
		return
	}
	texts := append([]string{p.City}, p.Codes...)
	if p.Name != nil {
		texts = append(texts, *p.Name)
	}
	for _, s := range texts {
		if strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
			t.Errorf("the database cannot keep %q", s)
		}
	}
}

// independent decodes the body with encoding/json, for FuzzJSON to compare with.
// encoding/json checks neither surrogates nor duplicate names.
func independent(t *testing.T, body []byte) (p struct {
	Name  *string          `json:"name"`
	Codes *json.RawMessage `json:"codes"`
	City  *string          `json:"city"`
}) {
	t.Helper()
	var fields map[string]json.RawMessage // a struct would ignore the case of names
	if err := json.Unmarshal(body, &fields); err != nil {
		t.Fatalf("%q is accepted: %v", body, err)
	}
	read := func(name string, target any) {
		if text, ok := fields[name]; ok {
			if err := json.Unmarshal(text, target); err != nil {
				t.Errorf("%s is accepted: %v", text, err)
			}
		}
	}
	read("name", &p.Name)
	read("codes", &p.Codes)
	read("city", &p.City)
	return p
}

// hasHalf reports whether a JSON text has half of a surrogate pair. Unlike the
// parser, it removes pairs first: a surrogate escape that is left is half of one.
func hasHalf(text string) bool {
	text = regexp.MustCompile(`\\[^u]`).ReplaceAllString(text, "")
	text = regexp.MustCompile(`(?i)\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}`).ReplaceAllString(text, "")
	return regexp.MustCompile(`(?i)\\ud[89a-f][0-9a-f]{2}`).MatchString(text)
}

// Accepted bodies are valid I-JSON, and another parser reads the same values.
func FuzzJSON(f *testing.F) {
	for _, body := range []string{
		`{"name":"a","weight":2.0,"value":20.75,"lines":[{"item":"x","not":[1]}],"codes":[""],"to":{"next":{}},"signed":false,"city":"서울"}`,
		`{"name":"\ud800\u0000","weight":1e400,"floor":-1e999999999,"value":1e-999999999}`, `{"name":"\ud83c\udf55\\\"\/\b"}`,
		`{"name":"a","n\u0061me":"b"}`, `{"x":{"a":1,"a":2}}`, `{"\ud800":1}`, `{"name":"a","title":"b"}`, ` { "name" : "\\ud800" , "x" : [ null , 1 ] } `,
		`{"-":{},"":[],"lines":[null],"codes":{}}`, `[]`, `null`, "{\"name\":\"\xff\"}", `{"to":` + strings.Repeat(`{"next":`, 50), "",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var p parcel
		err := bind.JSON(body, &p)
		mustBeClean(t, err, p)
		if err != nil {
			return
		}
		if hasHalf(string(body)) || !utf8.Valid(body) {
			t.Errorf("%q is accepted", body)
		}
		want := independent(t, body)
		if diff := cmp.Diff(want.Name, p.Name); diff != "" {
			t.Errorf("%q: name %s", body, diff)
		}
		if want.City != nil && *want.City != p.City {
			t.Errorf("%q: city is %q", body, p.City)
		}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var again parcel
		if err := bind.JSON(text, &again); err != nil {
			t.Errorf("what was read cannot be read again: %v: %s", err, text)
		}
	})
}

func FuzzForm(f *testing.F) {
	for _, body := range []string{
		`name=a&weight=2&value=20.75&lines=[{"item":"x"}]&codes=["a"]&to={}&signed=true&city=%EC%84%9C`,
		"name=%00&weight=1e400&value=%ff", "name=a&name=b", "name=a;city=2", "name=%zz", "&&=&", "lines=[[[[", "name=cheese%3bpizza+9%",
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var p parcel
		err := bind.Form([]byte(body), &p)
		mustBeClean(t, err, p)
		// net/url reads the same, once the parts that it rejects are escaped.
		escaped := regexp.MustCompile(`%([^0-9a-fA-F]|.?$|[0-9a-fA-F][^0-9a-fA-F])`)
		spared := strings.ReplaceAll(body, ";", "%3B")
		for escaped.MatchString(spared) {
			spared = escaped.ReplaceAllString(spared, "%25$1")
		}
		values, parseErr := url.ParseQuery(spared)
		if err == nil && parseErr == nil && p.Name != nil && *p.Name != values.Get("name") {
			t.Errorf("name is %q, sent was %q", *p.Name, values.Get("name"))
		}
	})
}

// net/url, which the generated code uses, reads an accepted query the same way. The
// query has only parameters of the document.
func FuzzQuery(f *testing.F) {
	for _, query := range []string{"q=a", "q=hawaiian%", "q=a;b&size=L", "q=%ff", "q=a&q=b", "q=%zz&x=%ff&x=1", "%71=a", "q=%00", "&=&q", "q=+%2b"} {
		f.Add(query)
	}
	names := []string{"q", "size"}
	f.Fuzz(func(t *testing.T, query string) {
		got, err := bind.Query(query, names)
		if err != nil {
			if fault.CodeOf(err) != fault.Invalid {
				t.Error(err)
			}
			return
		}
		values, err := url.ParseQuery(got)
		if err != nil {
			t.Fatalf("%q becomes %q: %v", query, got, err)
		}
		for name, v := range values {
			if !slices.Contains(names, name) || len(v) != 1 || !utf8.ValidString(v[0]) || strings.ContainsRune(v[0], 0) {
				t.Errorf("%q becomes %q", query, got)
			}
		}
		if again, err := bind.Query(got, names); again != got || err != nil {
			t.Errorf("%q becomes %q and then %q, %v", query, got, again, err)
		}
	})
}
