package bind_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/pkg/bind"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/money"
)

// A query is parsed as the URL Standard says, or rejected.
func TestQuery(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"": "", "q=": "q=", "q": "q=", "q=a": "q=a", "q=hawaiian%": "q=hawaiian%25", "q=%": "q=%25", "q=%z": "q=%25z", "q=%zz": "q=%25zz",
		"q=%4": "q=%254", "q=%2f%2F%61%6A%6a%09%30%39": "q=%2F%2Fajj%0909", "q=a;size=L": "q=a%3Bsize%3DL", "q=a;b&size=L": "q=a%3Bb&size=L", "q=a+b%20c%2Bd": "q=a+b+c%2Bd", "%71=a": "q=a",
		"q=피자": "q=%ED%94%BC%EC%9E%90", "q=a=b": "q=a%3Db", "&&q=a&": "q=a", "=a&q=b": "q=b", "q=\ufeffa": "q=%EF%BB%BFa",
		"unknown=1&q=a": "q=a", "x=%ff&x=1&q=a": "q=a", "Q=b&q=a": "q=a", "q%=b&q=a": "q=a",
	} {
		if got, err := bind.Query(query, []string{"q", "size"}); got != want || err != nil {
			t.Errorf("%q: %q, %v; want %q", query, got, err, want)
		}
	}
	for query, want := range map[string][]fault.Field{
		"q=a&q=b":           {{Field: "q", Message: once}},
		"q=a&q=a":           {{Field: "q", Message: once}},
		"q=a&%71=a":         {{Field: "q", Message: once}},
		"q=%ff":             {{Field: "q", Message: notUTF8}},
		"q=%ea%b0":          {{Field: "q", Message: notUTF8}},
		"q=%ed%a0%80":       {{Field: "q", Message: notUTF8}},
		"q=\xff&size=%00":   {{Field: "q", Message: notUTF8}, {Field: "size", Message: noNUL}},
		"size=L&size=M&q=a": {{Field: "size", Message: once}},
	} {
		_, err := bind.Query(query, []string{"q", "size"})
		var e *fault.Error
		if !errors.As(err, &e) {
			t.Errorf("%q: %v", query, err)
			continue
		}
		if diff := cmp.Diff(want, e.Fields); diff != "" {
			t.Errorf("%q: %s", query, diff)
		}
	}
}

// The error of a parameter that is not text has its field, rule and value.
func TestParameter(t *testing.T) {
	t.Parallel()
	whole := bind.Whole(1, 500)
	for sent, want := range map[string]int{"1": 1, "500": 500, "007": 7} {
		var p bind.Parameters
		if got := bind.Parameter(&p, "limit", &sent, 100, whole); got != want || p.Err() != nil {
			t.Errorf("%q: %d, %v", sent, got, p.Err())
		}
	}
	var absent bind.Parameters
	if got := bind.Parameter(&absent, "limit", nil, 100, whole); got != 100 || absent.Err() != nil {
		t.Errorf("absent: %d, %v", got, absent.Err())
	}
	for _, sent := range []string{"", "0", "-1", "501", "+5", "1.5", "1e2", " 1", "0x1", "1_0", "٣", "x", "99999999999999999999"} {
		var p bind.Parameters
		bind.Parameter(&p, "limit", &sent, 100, whole)
		price := bind.Parameter(&p, "price_max", ptr("cheap"), nil, func(s string) (*money.Amount, error) { a, err := money.Parse(s); return &a, err })
		var e *fault.Error
		if !errors.As(p.Err(), &e) || price != nil {
			t.Fatalf("%q: %v", sent, p.Err())
		}
		want := []fault.Field{
			{Field: "limit", Message: `must be a whole number from 1 to 500, not "` + sent + `"`},
			{Field: "price_max", Message: mustBeMoney + `, not "cheap"`},
		}
		if diff := cmp.Diff(want, e.Fields); diff != "" {
			t.Error(diff)
		}
	}
	var long bind.Parameters
	long.Reject("limit", "must be short", strings.Repeat("x", 10_000))
	if err := long.Err(); len(err.Error()) > 200 {
		t.Errorf("%d bytes are repeated", len(err.Error()))
	}
}

// Parameter errors of the generated code are translated into our wording.
func TestParameterFault(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]fault.Field{
		`Invalid format for parameter q: multiple values for single value parameter 'q'`:        {Field: "q", Message: "cannot be read"},
		`Invalid format for parameter max: error parsing 'x' as float: strconv.ParseFloat: ...`: {Field: "max", Message: "cannot be read"},
		`Invalid format for parameter q: query parameter 'q' is required`:                       {Field: "q", Message: "is required"},
		`Header parameter X-Key is required, but not found`:                                     {Field: "X-Key", Message: "is required"},
		`Expected one value for Idempotency-Key, got 2`:                                         {Field: "Idempotency-Key", Message: once},
	} {
		var e *fault.Error
		if !errors.As(bind.ParameterFault(message), &e) || e.Code != fault.Invalid {
			t.Errorf("%q is not known", message)
			continue
		}
		if diff := cmp.Diff([]fault.Field{want}, e.Fields); diff != "" {
			t.Errorf("%q: %s", message, diff)
		}
	}
	if err := bind.ParameterFault("something else"); err != nil {
		t.Error(err)
	}
}
