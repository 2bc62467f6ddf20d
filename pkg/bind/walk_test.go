package bind_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
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
)

// The walk goes on after a bad field, in lists and objects too.
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
			{Field: "name", Message: "must be given once"}, {Field: "weight", Message: mustBeWhole}, {Field: "city", Message: "must be given once"},
		}},
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

// A body full of mistakes does not make an answer full of them.
func TestReportIsBounded(t *testing.T) {
	t.Parallel()
	body := `{"codes":[` + strings.TrimSuffix(strings.Repeat("1,", 30_000), ",") + `]}`
	var e *fault.Error
	if err := bind.JSON([]byte(body), &parcel{}); !errors.As(err, &e) || len(e.Fields) != 100 {
		t.Fatalf("%d fields are reported", len(e.Fields))
	}
}

// A type that the walk cannot read is a defect of ours, not of the caller.
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

// mustBeClean checks what both dialects promise of what they let through.
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

func FuzzJSON(f *testing.F) {
	for _, body := range []string{
		`{"name":"a","weight":2.0,"value":20.75,"lines":[{"item":"x","not":[1]}],"codes":[""],"to":{"next":{}},"signed":false,"city":"서울"}`,
		`{"name":"\ud800\u0000","weight":1e400,"floor":-1e999999999,"value":1e-999999999}`,
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
		"name=%00&weight=1e400&value=%ff", "name=a&name=b", "a=1;b=2", "%zz", "&&=&", "lines=[[[[",
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var p parcel
		err := bind.Form([]byte(body), &p)
		mustBeClean(t, err, p)
		// A form says no more than the JSON object of the same texts.
		values, parseErr := url.ParseQuery(body)
		if err == nil && parseErr == nil && p.Name != nil && *p.Name != values.Get("name") {
			t.Errorf("name is %q, sent was %q", *p.Name, values.Get("name"))
		}
	})
}
