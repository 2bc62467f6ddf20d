package httpapi

import (
	"strings"
	"testing"
)

// If-None-Match, as RFC 9110 has it in sections 8.8.3 and 13.1.2.
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
		// A list goes on after a comma, unless what is before it is no list.
		if isList := matches(field+`, "end"`, `"end"`); isList && !matches(field+`, `+etag, etag) {
			t.Errorf("%q hides what comes after it", field)
		}
	})
}

// The ETag is of the bytes: the same for the same answer, another for another.
func TestDocument(t *testing.T) {
	t.Parallel()
	write := func(v any, ifNoneMatch string) document {
		t.Helper()
		d, err := newDocument(v, ifNoneMatch)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	a, again, b := write([]int{1}, ""), write([]int{1}, ""), write([]int{2}, "")
	if a.etag != again.etag || a.etag == b.etag || a.known {
		t.Errorf("ETags %s, %s, %s", a.etag, again.etag, b.etag)
	}
	if !write([]int{1}, a.etag).known || write([]int{2}, a.etag).known {
		t.Error("an ETag stands for other bytes than its own")
	}
}
