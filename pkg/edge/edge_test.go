package edge_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/pkg/edge"
	"example.com/pizza/pkg/testkit/edgetest"
)

func TestPlain(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		"/": true, "/menu": true, "/menu/": true, "/api/order/0197-a.b_c~d/": true, "/order/%EC%A3%BC": true, "/order/a%20b": true,
		"/docs/swagger-ui.css": true, "/order/..a": true, "/%6Frder": true,
		"": false, "*": false, "menu": false, "//": false, "//menu": false, "/menu//": false, "/order//x": false, "/./menu": false, "/menu/.": false,
		"/menu/..": false, "/menu/../int": false, "/menu/%2e%2e/int": false, "/menu/.%2E/int": false, "/menu/%2e": false, "/menu/...": false,
		"/menu/..%20/int": false, "/menu/%20": false, "/menu%2fint": false, "/menu/..%2Fint": false, `/menu\int`: false, "/menu/%5c..%5cint": false,
		"/menu;x=1": false, "/menu/..;/int": false, "/menu/%3bx": false, "/menu/%252e%252e": false, "/menu/%00": false, "/menu/%0d%0a": false,
		"/menu/%7f": false, "/menu/%c2%85": false, "/menu/%ff": false, "/menu/%c0%ae%c0%ae/int": false,
	} {
		u := &url.URL{}
		if path != "" {
			var err error
			if u, err = url.ParseRequestURI(path); err != nil {
				u = &url.URL{Path: path}
			}
		}
		if got := edge.Plain(u); got != want {
			t.Errorf("%q: %v, want %v", path, got, want)
		}
	}
}

func TestEndAmbiguous(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		major, minor int
		encoding     []string
		want         string
	}{
		"plain":             {1, 1, nil, ""},
		"chunked":           {1, 1, []string{"chunked"}, "close"},
		"HTTP/1.0":          {1, 0, nil, "close"},
		"later_than_by_1.1": {2, 0, nil, ""},
	} {
		r, w := httptest.NewRequest("POST", "/", nil), httptest.NewRecorder()
		r.ProtoMajor, r.ProtoMinor, r.TransferEncoding = test.major, test.minor, test.encoding
		edge.EndAmbiguous(w.Header(), r)
		if got := w.Header().Get("Connection"); got != test.want {
			t.Errorf("%s: Connection %q, want %q", name, got, test.want)
		}
	}
}

func TestRepeated(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		header http.Header
		want   string
	}{
		"nothing":          {http.Header{}, ""},
		"each_once":        {http.Header{"Authorization": {"a"}, "Content-Type": {"b"}, "Idempotency-Key": {"c"}, "Origin": {"d"}}, ""},
		"lists":            {http.Header{"If-None-Match": {"a", "b"}, "Accept": {"a", "b"}, "X-Forwarded-For": {"a", "b"}}, ""},
		"authorization":    {http.Header{"Authorization": {"Bearer a", "Bearer b"}}, "Authorization"},
		"the_same_twice":   {http.Header{"Authorization": {"Bearer a", "Bearer a"}}, "Authorization"},
		"one_of_them_none": {http.Header{"Authorization": {"", "Bearer a"}}, "Authorization"},
		"content_type":     {http.Header{"Content-Type": {"application/json", "text/plain"}}, "Content-Type"},
		"key":              {http.Header{"Idempotency-Key": {"a", "b"}}, "Idempotency-Key"},
		"origin":           {http.Header{"Origin": {"https://a.example", "https://b.example"}}, "Origin"},
	} {
		if got := edge.Repeated(test.header); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestEncoded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		codings []string
		want    bool
	}{
		"none":                {nil, false},
		"identity":            {[]string{"identity"}, false},
		"identity_in_capital": {[]string{" Identity , identity"}, false},
		"empty":               {[]string{"", ","}, false},
		"gzip":                {[]string{"gzip"}, true},
		"x-gzip":              {[]string{"X-GZIP"}, true},
		"br":                  {[]string{"br"}, true},
		"unknown":             {[]string{"pizza"}, true},
		"second_in_a_list":    {[]string{"identity, gzip"}, true},
		"second_line":         {[]string{"identity", "zstd"}, true},
	} {
		if got := edge.Encoded(http.Header{"Content-Encoding": test.codings}); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// A plain path does not change when a proxy cleans, decodes or merges it.
func FuzzPlain(f *testing.F) {
	for _, path := range append(edgetest.Disguises("/int/menu/quote"), "/", "/menu/", "/order/0197") {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil || !edge.Plain(u) {
			return
		}
		again, err := url.PathUnescape(u.Path)
		cleaned := (&url.URL{Path: "/"}).JoinPath(u.Path).Path
		if err != nil || again != u.Path || cleaned != u.Path || strings.Count(u.EscapedPath(), "/") != strings.Count(u.Path, "/") {
			t.Errorf("%q: %q decoded, %q twice, %q cleaned", path, u.Path, again, cleaned)
		}
	})
}

func TestStrip(t *testing.T) {
	t.Parallel()
	h := http.Header{
		"X-User-Id": {"eve", "mallory"}, "x-user-id": {"eve"}, "X_user_id": {"eve"}, "X-User_ID": {"eve"},
		"X-User": {"stays"}, "User-Id": {"stays"}, "Authorization": {"stays"},
	}
	edge.Strip(h)
	want := http.Header{"X-User": {"stays"}, "User-Id": {"stays"}, "Authorization": {"stays"}}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Error(diff)
	}
}
