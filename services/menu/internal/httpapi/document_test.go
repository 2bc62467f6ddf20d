package httpapi

import (
	"strings"
	"testing"
)

// If-None-Match, as defined by RFC 9110, sections 8.8.3 and 13.1.2.
func TestMatches(t *testing.T) {
	t.Parallel()
	const etag = `"abc"`
	for name, test := range map[string]struct {
		field string
		want  bool
	}{
		"absent":                {``, false},
		"same":                  {`"abc"`, true},
		"other":                 {`"abd"`, false},
		"longer":                {`"abcd"`, false},
		"any":                   {`*`, true},
		"any_with_blanks":       {` * `, true},
		"weak":                  {`W/"abc"`, true},
		"weak_in_lower_case":    {`w/"abc"`, false},
		"list":                  {`"x", "abc"`, true},
		"list_without_blanks":   {`"x","abc","y"`, true},
		"list_with_empty_parts": {`, ,"x",, "abc"`, true},
		"list_of_weak":          {`W/"x", W/"abc"`, true},
		"list_of_others":        {`"x", W/"y"`, false},
		"comma_inside":          {`"x,y", "abc"`, true},
		"hidden_inside":         {`"x, abc"`, false},
		"without_quotes":        {`abc`, false},
		"open_quote":            {`"abc`, false},
		"nothing_in_quotes":     {`""`, false},
		"rubbish_before":        {`x "abc"`, false},
		"any_in_a_list":         {`"x", *`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := matches(test.field, etag); got != test.want {
				t.Errorf("If-None-Match: %s matches %s: %v", test.field, etag, got)
			}
		})
	}
}

func FuzzMatches(f *testing.F) {
	f.Add(`W/"a", "b,c" , *`)
	f.Add(`"`)
	f.Add(`,,,W/`)
	f.Fuzz(func(t *testing.T, field string) {
		const etag = `"never-in-a-corpus"`
		if matches(field, etag) && strings.Trim(field, " \t") != "*" && !strings.Contains(field, etag) {
			t.Errorf("%q matches", field)
		}
		// A comma continues a list, unless the text before it is not a list.
		if isList := matches(field+`, "end"`, `"end"`); isList && !matches(field+`, `+etag, etag) {
			t.Errorf("%q hides what comes after it", field)
		}
	})
}

// The ETag depends on the bytes: equal documents have equal ETags, others do not.
func TestDocument(t *testing.T) {
	t.Parallel()
	write := func(v any) document {
		t.Helper()
		d, err := newDocument(v)
		if err != nil {
			t.Fatal(err)
		}
		if d, err = d.withGzip(); err != nil {
			t.Fatal(err)
		}
		return d
	}
	a, again, b := write([]int{1}), write([]int{1}), write([]int{2})
	if a.plain.etag != again.plain.etag || a.gzip.etag != again.gzip.etag || a.plain.etag == b.plain.etag || a.gzip.etag == b.gzip.etag {
		t.Errorf("ETags %s, %s, %s", a.plain.etag, again.plain.etag, b.plain.etag)
	}
	if a.plain.etag == a.gzip.etag {
		t.Error("two forms have one ETag")
	}
}

// Accept-Encoding, as defined by RFC 9110, section 12.5.3.
func TestTakesGzip(t *testing.T) {
	t.Parallel()
	for field, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "x-gzip": true, "br, gzip": true, "gzip, deflate, br, zstd": true, "*": true,
		"identity": false, "br": false, "gzip;q=0": false, "gzip;q=0.000": false, "gzip; q=0.5": true, "gzip;Q=1": true,
		"gzip;q=0.5, identity": false, "gzip;q=0.5, identity;q=0.5": true, "identity;q=0": false, "identity;q=0, gzip;q=0.1": true,
		"*;q=0": false, "*;q=0.1": true, "*, gzip;q=0": false, "*;q=0, gzip": true,
		"gzip;q=2": false, "gzip;q=-1": false, "gzip;q=NaN": false, "gzip;q=": false, "gzip;x=1": false, ";": false, ",,": false, "gzi p": false,
	} {
		if got := takesGzip(field); got != want {
			t.Errorf("Accept-Encoding: %s takes gzip: %v", field, got)
		}
	}
}
