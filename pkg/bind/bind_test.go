package bind_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"example.com/pizza/pkg/bind"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/money"
)

// parcel has every kind of field that generated structs have.
type parcel struct {
	Name   *string       `json:"name,omitempty"`
	Weight *int          `json:"weight,omitempty"`
	Floor  *int32        `json:"floor,omitempty"`
	Signed *bool         `json:"signed,omitempty"`
	Value  *money.Amount `json:"value,omitempty"`
	Lines  *[]line       `json:"lines,omitempty"`
	Codes  []string      `json:"codes"`
	To     *address      `json:"to,omitempty"`
	City   string        `json:"city"` // required by its document, so no pointer
	Title  *string       `json:"title,omitempty" alias:"name"`
	Label  *string       `json:"label,omitempty" alias:"name"`

	Extra map[string]any `json:"-"`
}

type line struct {
	Item *string `json:"item,omitempty"`
	Not  *[]int  `json:"not,omitempty"`
}

type address struct {
	Street *string  `json:"street,omitempty"`
	Next   *address `json:"next,omitempty"`
}

func ptr[T any](v T) *T { return &v }

const (
	asJSON = "application/json"
	asForm = "application/x-www-form-urlencoded"
)

// read binds a body as echo does, with the body limit of package server.
func read(contentType, body string, target any) error {
	const limit = 1000
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	if contentType != "" {
		r.Header.Set(echo.HeaderContentType, contentType)
	}
	w := httptest.NewRecorder()
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	return bind.Binder{}.Bind(target, echo.New().NewContext(r, w))
}

func TestBind(t *testing.T) {
	t.Parallel()
	whole := parcel{
		Name: ptr("피자 🍕"), Weight: ptr(2), Floor: ptr(int32(-3)), Signed: ptr(true), Value: ptr(money.MustParse("20.75")),
		Lines: &[]line{{Item: ptr("a")}, {Not: &[]int{1, 2}}}, Codes: []string{"x", ""}, To: &address{Street: ptr("길")}, City: "서울",
	}
	for name, test := range map[string]struct {
		contentType, body string
		want              parcel
	}{
		"json": {
			asJSON,
			`{"name":"피자 🍕","weight":2,"floor":-3,"signed":true,"value":20.750,"lines":[{"item":"a"},{"not":[1,2]}],"codes":["x",""],"to":{"street":"길"},"city":"서울"}`,
			whole,
		},
		"form": {
			asForm,
			"name=%ED%94%BC%EC%9E%90+%F0%9F%8D%95&weight=2&floor=-3&signed=true&value=20.75&lines=[{%22item%22:%22a%22},{%22not%22:[1,2]}]" +
				`&codes=["x",""]&to={"street":"길"}&city=서울`,
			whole,
		},
		"no_content_type_is_json":       {"", `{"city":"x"}`, parcel{City: "x"}},
		"charset":                       {"Application/JSON; charset=UTF-8", `{"city":"x"}`, parcel{City: "x"}},
		"charset_in_quotation_marks":    {`application/json; charset="utf-8"`, `{"city":"x"}`, parcel{City: "x"}},
		"charset_within_UTF-8":          {"application/x-www-form-urlencoded;charset=US-ASCII", "city=x", parcel{City: "x"}},
		"charset_empty":                 {`application/json; charset=""`, `{"city":"x"}`, parcel{City: "x"}},
		"blanks_around":                 {asJSON, " \r\n\t{\"city\" : \"x\"}\n", parcel{City: "x"}},
		"empty_object":                  {asJSON, `{}`, parcel{}},
		"unknown_fields_are_ignored":    {asJSON, `{"NAME":7,"Weight":"x","x":{"y":[1e999]},"":1,"-":{"a":1},"city":"x"}`, parcel{City: "x"}},
		"unknown_form_fields_too":       {asForm, "x=1&x=2&-=1&=2&city=x", parcel{City: "x"}},
		"null_is_absent":                {asJSON, `{"name":null,"weight":null,"lines":null,"codes":null,"to":null,"value":null,"city":null}`, parcel{}},
		"empty_text_is_there":           {asForm, "name=", parcel{Name: ptr("")}},
		"null_in_a_form_is_text":        {asForm, "name=null", parcel{Name: ptr("null")}},
		"number_in_a_form_is_text":      {asForm, "name=007", parcel{Name: ptr("007")}},
		"list_in_a_form_after_a_blank":  {asForm, "codes=+[]", parcel{Codes: []string{}}},
		"empty_list_is_there":           {asJSON, `{"lines":[]}`, parcel{Lines: &[]line{}}},
		"surrogate_pair":                {asJSON, `{"name":"\ud83c\udf55"}`, parcel{Name: ptr("🍕")}},
		"every_escape":                  {asJSON, `{"na\u006de":"\"\\\/\b\f\n\r\t\u00e9"}`, parcel{Name: ptr("\"\\/\b\f\n\r\té")}},
		"replacement_character_as_such": {asJSON, `{"name":"\ufffd\uFFFD"}`, parcel{Name: ptr("\ufffd\ufffd")}},
		"escaped_backslash_before_u":    {asJSON, `{"name":"\\ud800"}`, parcel{Name: ptr(`\ud800`)}},
		"byte_order_mark_json":          {asJSON, "\ufeff{\"city\":\"x\"}", parcel{City: "x"}},
		"byte_order_mark_form":          {asForm, "\ufeffcity=x", parcel{City: "x"}},
		"same_names_in_two_objects":     {asJSON, `{"lines":[{"item":"a"},{"item":"a"}],"to":{"street":"a","next":{"street":"a"}}}`, parcel{Lines: &[]line{{Item: ptr("a")}, {Item: ptr("a")}}, To: &address{Street: ptr("a"), Next: &address{Street: ptr("a")}}}},
		"alias":                         {asJSON, `{"title":"a"}`, parcel{Title: ptr("a")}},
		"alias_that_says_the_same":      {asJSON, `{"name":"a","title":"a"}`, parcel{Name: ptr("a"), Title: ptr("a")}},
		"alias_that_is_null":            {asJSON, `{"name":"a","title":null}`, parcel{Name: ptr("a")}},
		"semicolon_in_a_form":           {asForm, "name=cheese;pizza9&city=a%3Bb", parcel{Name: ptr("cheese;pizza9"), City: "a;b"}},
		"percent_in_a_form":             {asForm, "name=100%&city=%zz%4", parcel{Name: ptr("100%"), City: "%zz%4"}},
		"equals_in_a_form":              {asForm, "name=a=b&&=&city", parcel{Name: ptr("a=b")}},
		"whole_numbers_in_any_spelling": {asJSON, `{"weight":2.0,"floor":-0.3e1}`, parcel{Weight: ptr(2), Floor: ptr(int32(-3))}},
		"largest_numbers":               {asJSON, `{"weight":9007199254740991,"floor":-2147483648}`, parcel{Weight: ptr(9007199254740991), Floor: ptr(int32(-2147483648))}},
		"numbers_are_doubles":           {asJSON, `{"weight":1e-400,"floor":1.0000000000000000000001}`, parcel{Weight: ptr(0), Floor: ptr(int32(1))}},
		"object_in_object":              {asJSON, `{"to":{"next":{"next":{"street":"x"}}}}`, parcel{To: &address{Next: &address{Next: &address{Street: ptr("x")}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got parcel
			if err := read(test.contentType, test.body, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBindRefuses(t *testing.T) {
	t.Parallel()
	const media = "Content-Type must be application/json or application/x-www-form-urlencoded"
	const charset = "the charset of Content-Type must be utf-8"
	for name, test := range map[string]struct {
		contentType, body string
		code              fault.Code
		detail            string
	}{
		"broken_json":            {asJSON, `{"name":`, fault.Invalid, "the body is not valid JSON"},
		"text_after_it":          {asJSON, `{} {}`, fault.Invalid, "the body is not valid JSON"},
		"only_blanks":            {asJSON, "  \n", fault.Invalid, "the body is not valid JSON"},
		"nul_byte":               {asJSON, "{\"name\":\"\x00\"}", fault.Invalid, "the body is not valid JSON"},
		"nested_too_deep":        {asJSON, strings.Repeat("[", 500), fault.Invalid, "the body is not valid JSON"},
		"list":                   {asJSON, `[{"name":"x"}]`, fault.Invalid, "the body must be a JSON object"},
		"null":                   {asJSON, `null`, fault.Invalid, "the body must be a JSON object"},
		"text":                   {asJSON, `"{}"`, fault.Invalid, "the body must be a JSON object"},
		"number":                 {asJSON, `1e400`, fault.Invalid, "the body must be a JSON object"},
		"utf16":                  {asJSON, "{\x00}\x00", fault.Invalid, "the body is not valid JSON"},
		"empty":                  {asJSON, ``, fault.Invalid, "the body is empty; a JSON object is expected"},
		"only_a_byte_order_mark": {asJSON, "\ufeff", fault.Invalid, "the body is empty; a JSON object is expected"},
		"two_byte_order_marks":   {asJSON, "\ufeff\ufeff{}", fault.Invalid, "the body is not valid JSON"},
		"byte_order_mark_later":  {asJSON, "{\ufeff}", fault.Invalid, "the body is not valid JSON"},
		"empty_form":             {asForm, ``, fault.Invalid, "the body is empty; a JSON object is expected"},
		"too_large":              {asJSON, `{"name":"` + strings.Repeat("x", 1000) + `"}`, fault.TooLarge, "the body must not be larger than 1000 bytes"},
		"xml":                    {"text/xml", `<name/>`, fault.UnsupportedMedia, media},
		"multipart":              {"multipart/form-data; boundary=x", `--x`, fault.UnsupportedMedia, media},
		"broken_media_type":      {"application/json; charset", `{}`, fault.UnsupportedMedia, media},
		"charset_of_korea":       {"application/json; charset=EUC-KR", `{}`, fault.UnsupportedMedia, charset},
		"charset_of_a_form":      {asForm + "; charset=ISO-8859-1", "city=x", fault.UnsupportedMedia, charset},
		"charset_of_16_bits":     {"application/json; charset=utf-16", `{}`, fault.UnsupportedMedia, charset},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got parcel
			err := read(test.contentType, test.body, &got)
			var e *fault.Error
			if !errors.As(err, &e) || e.Code != test.code || e.Detail != test.detail {
				t.Errorf("%v; want %s: %s", err, test.code, test.detail)
			}
			if diff := cmp.Diff(parcel{}, got); diff != "" {
				t.Error("something was read all the same:", diff)
			}
		})
	}
}

// Generated code takes io.EOF for a missing optional body.
func TestBindTellsAnEmptyBody(t *testing.T) {
	t.Parallel()
	if err := read(asJSON, "", &parcel{}); !errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
	if err := read(asJSON, "{", &parcel{}); errors.Is(err, io.EOF) {
		t.Errorf("a broken body is taken for an empty one: %v", err)
	}
}

// Errors use the caller's name of a field that has two names.
func TestNames(t *testing.T) {
	t.Parallel()
	refuse := fault.InvalidFields(fault.Field{Field: "name", Message: "is too long"}, fault.Field{Field: "size", Message: "is required"})
	for name, test := range map[string]struct {
		name, alias *string
		want        *string
		sent        string
	}{
		"first":   {ptr("a"), nil, ptr("a"), "name"},
		"alias":   {nil, ptr("b"), ptr("b"), "title"},
		"both":    {ptr("a"), ptr("b"), ptr("a"), "name"},
		"neither": {nil, nil, nil, "name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			names := bind.Names{}
			if diff := cmp.Diff(test.want, bind.Pick(names, "name", test.name, "title", test.alias)); diff != "" {
				t.Error(diff)
			}
			if got := names.Sent("name"); got != test.sent {
				t.Errorf("sent as %q, want %q", got, test.sent)
			}
			var e *fault.Error
			if !errors.As(names.Restore(refuse), &e) {
				t.Fatal("no fault")
			}
			if diff := cmp.Diff([]fault.Field{{Field: test.sent, Message: "is too long"}, {Field: "size", Message: "is required"}}, e.Fields); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("other_errors_stay_as_they_are", func(t *testing.T) {
		t.Parallel()
		names := bind.Names{"name": "title"}
		for _, err := range []error{nil, io.EOF, fault.New(fault.NotFound, "none")} {
			if got := names.Restore(err); !errors.Is(got, err) || (err == nil) != (got == nil) {
				t.Errorf("%v became %v", err, got)
			}
		}
	})
}
