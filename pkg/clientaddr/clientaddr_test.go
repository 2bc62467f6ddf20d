package clientaddr_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"example.com/pizza/pkg/clientaddr"
	"example.com/pizza/pkg/config"
)

// group returns the client of a request from peer with these X-Forwarded-For.
func group(t *testing.T, proxies, peer string, forwarded ...string) string {
	t.Helper()
	c, err := config.Load[clientaddr.Config]([]string{"TRUSTED_PROXIES=" + proxies})
	if err != nil {
		t.Fatal(err)
	}
	var got string
	e := echo.New()
	e.GET("/", func(c echo.Context) error {
		got = clientaddr.Group(c.Request().Context())
		return nil
	}, c.Middleware())
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.RemoteAddr = peer
	for _, f := range forwarded {
		r.Header.Add("X-Forwarded-For", f)
	}
	// Headers of other proxies are never read.
	r.Header.Set("X-Real-Ip", "6.6.6.6")
	r.Header.Set("Forwarded", "for=6.6.6.6")
	e.ServeHTTP(httptest.NewRecorder(), r)
	return got
}

func TestGroup(t *testing.T) {
	t.Parallel()
	const trusted = "10.0.0.0/8,127.0.0.1/32,fd00::/8"
	for name, test := range map[string]struct {
		proxies, peer string
		forwarded     []string
		want          string
	}{
		"the_peer":                         {trusted, "203.0.113.9:4711", nil, "203.0.113.9"},
		"spoofed_by_a_stranger":            {trusted, "203.0.113.9:4711", []string{"1.2.3.4"}, "203.0.113.9"},
		"nobody_is_trusted":                {"", "10.0.0.1:80", []string{"1.2.3.4"}, "10.0.0.1"},
		"loopback_is_not_by_itself":        {"10.0.0.0/8", "127.0.0.1:80", []string{"1.2.3.4"}, "127.0.0.1"},
		"private_is_not_by_itself":         {"127.0.0.1/32", "192.168.1.1:80", []string{"1.2.3.4"}, "192.168.1.1"},
		"link_local_is_not_by_itself":      {"127.0.0.1/32", "169.254.1.1:80", []string{"1.2.3.4"}, "169.254.1.1"},
		"one_proxy":                        {trusted, "10.0.0.1:80", []string{"198.51.100.7"}, "198.51.100.7"},
		"two_proxies":                      {trusted, "10.0.0.1:80", []string{"198.51.100.7, 10.0.0.2"}, "198.51.100.7"},
		"two_headers":                      {trusted, "10.0.0.1:80", []string{"1.2.3.4", "198.51.100.7"}, "198.51.100.7"},
		"spoofed_through_a_proxy":          {trusted, "10.0.0.1:80", []string{"1.2.3.4, 198.51.100.7"}, "198.51.100.7"},
		"spoofed_as_a_proxy":               {trusted, "10.0.0.1:80", []string{"10.9.9.9, 198.51.100.7"}, "198.51.100.7"},
		"garbage_by_the_client":            {trusted, "10.0.0.1:80", []string{"x, , 999.1.1.1, 198.51.100.7"}, "198.51.100.7"},
		"garbage_where_a_proxy_should_say": {trusted, "10.0.0.1:80", []string{"198.51.100.7, unknown"}, "10.0.0.1"},
		"half_of_a_quoted_string":          {trusted, "10.0.0.1:80", []string{`"`}, "10.0.0.1"},
		"a_proxy_that_says_nothing":        {trusted, "10.0.0.1:80", nil, "10.0.0.1"},
		"an_inner_client":                  {trusted, "10.0.0.1:80", []string{"10.1.1.1"}, "10.1.1.1"},
		"a_/64":                            {trusted, "[2001:db8:1:2:3:4:5:6]:80", nil, "2001:db8:1:2::/64"},
		"a_/64_through_a_proxy":            {trusted, "[fd00::1]:80", []string{"2001:db8:1:2::9"}, "2001:db8:1:2::/64"},
		"with_brackets":                    {trusted, "10.0.0.1:80", []string{"[2001:db8:1:2::9]"}, "2001:db8:1:2::/64"},
		"another_/64":                      {trusted, "[2001:db8:1:3:3:4:5:6]:80", nil, "2001:db8:1:3::/64"},
		"IPv4_in_IPv6":                     {trusted, "[::ffff:203.0.113.9]:80", nil, "203.0.113.9"},
		"IPv4_in_IPv6_is_a_proxy_too":      {trusted, "[::ffff:10.0.0.1]:80", []string{"198.51.100.7"}, "198.51.100.7"},
		"host_bits_of_a_range":             {"10.1.2.3/8", "10.0.0.1:80", []string{"198.51.100.7"}, "198.51.100.7"},

		"with_a_port":                  {trusted, "10.0.0.1:80", []string{"198.51.100.7:40001"}, "198.51.100.7"},
		"with_a_port_of_a_proxy":       {trusted, "10.0.0.1:80", []string{"198.51.100.7:40001, 10.0.0.2:50000"}, "198.51.100.7"},
		"with_the_least_port":          {trusted, "10.0.0.1:80", []string{"198.51.100.7:0"}, "198.51.100.7"},
		"with_the_greatest_port":       {trusted, "10.0.0.1:80", []string{"198.51.100.7:65535"}, "198.51.100.7"},
		"with_brackets_and_a_port":     {trusted, "10.0.0.1:80", []string{"[2001:db8:1:2::9]:443"}, "2001:db8:1:2::/64"},
		"in_quotation_marks":           {trusted, "10.0.0.1:80", []string{`"[2001:db8:1:2::9]:443"`}, "2001:db8:1:2::/64"},
		"IPv4_in_quotation_marks":      {trusted, "10.0.0.1:80", []string{`"198.51.100.7:40001"`}, "198.51.100.7"},
		"IPv4_in_IPv6_with_a_port":     {trusted, "10.0.0.1:80", []string{"[::ffff:198.51.100.7]:443"}, "198.51.100.7"},
		"IPv4_in_IPv6_bare":            {trusted, "10.0.0.1:80", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		"with_a_zone":                  {trusted, "10.0.0.1:80", []string{"fe80::1:2%eth0"}, "fe80::/64"},
		"with_a_zone_and_a_port":       {trusted, "10.0.0.1:80", []string{"[fe80::1:2%eth0]:443"}, "fe80::/64"},
		"a_proxy_with_a_zone":          {"fe80::/10", "[fe80::1%eth0]:80", []string{"198.51.100.7"}, "198.51.100.7"},
		"blanks_around":                {trusted, "10.0.0.1:80", []string{"  198.51.100.7 \t, 10.0.0.2 "}, "198.51.100.7"},
		"three_headers":                {trusted, "10.0.0.1:80", []string{"1.2.3.4", "198.51.100.7", "10.0.0.2, 10.0.0.3"}, "198.51.100.7"},
		"all_of_it_trusted":            {trusted, "10.0.0.1:80", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"a_port_that_cannot_be":        {trusted, "10.0.0.1:80", []string{"198.51.100.7:65536"}, "10.0.0.1"},
		"a_port_that_is_no_number":     {trusted, "10.0.0.1:80", []string{"198.51.100.7:http"}, "10.0.0.1"},
		"a_hidden_port":                {trusted, "10.0.0.1:80", []string{"198.51.100.7:_x"}, "10.0.0.1"},
		"an_empty_port":                {trusted, "10.0.0.1:80", []string{"198.51.100.7:"}, "10.0.0.1"},
		"a_port_alone":                 {trusted, "10.0.0.1:80", []string{":443"}, "10.0.0.1"},
		"IPv4_in_brackets":             {trusted, "10.0.0.1:80", []string{"[198.51.100.7]"}, "10.0.0.1"},
		"half_a_bracket":               {trusted, "10.0.0.1:80", []string{"[2001:db8::1"}, "10.0.0.1"},
		"half_a_quotation":             {trusted, "10.0.0.1:80", []string{`"198.51.100.7`}, "10.0.0.1"},
		"hidden":                       {trusted, "10.0.0.1:80", []string{"198.51.100.7, _hidden"}, "10.0.0.1"},
		"a_socket":                     {trusted, "10.0.0.1:80", []string{"198.51.100.7, unix:"}, "10.0.0.1"},
		"an_empty_entry_last":          {trusted, "10.0.0.1:80", []string{"198.51.100.7, "}, "10.0.0.1"},
		"an_empty_entry_within":        {trusted, "10.0.0.1:80", []string{"198.51.100.7,, 10.0.0.2"}, "10.0.0.2"},
		"an_empty_header_last":         {trusted, "10.0.0.1:80", []string{"198.51.100.7", ""}, "10.0.0.1"},
		"unknown_to_an_outer_proxy":    {trusted, "10.0.0.1:80", []string{"198.51.100.7, unknown, 10.0.0.2"}, "10.0.0.2"},
		"a_blank_within":               {trusted, "10.0.0.1:80", []string{"198.51 .100.7"}, "10.0.0.1"},
		"leading_zeros":                {trusted, "10.0.0.1:80", []string{"198.051.100.007"}, "10.0.0.1"},
		"a_number":                     {trusted, "10.0.0.1:80", []string{"3325256711"}, "10.0.0.1"},
		"a_name":                       {trusted, "10.0.0.1:80", []string{"client.example"}, "10.0.0.1"},
		"a_stranger_claims_with_ports": {trusted, "203.0.113.9:4711", []string{"10.0.0.2:1, 1.2.3.4:5"}, "203.0.113.9"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := group(t, test.proxies, test.peer, test.forwarded...); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"10.0.0.1", "10.0.0.0/33", "proxy", "0.0.0.0/0", "::/0", "10.0.0.0/8,x", "*", "::ffff:10.0.0.0/104"} {
		_, err := config.Load[clientaddr.Config]([]string{"TRUSTED_PROXIES=" + bad})
		if err == nil || !strings.Contains(err.Error(), "TRUSTED_PROXIES") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// The client is always the one that the last proxy saw, for any header it sends.
func FuzzGroup(f *testing.F) {
	for _, s := range []string{"", "1.2.3.4", "10.0.0.1, ", ",,", "fd00::1", "::ffff:10.0.0.1", "[::1]:80", "1.2.3.4:80", "unknown, \"_x\"", "10.0.0.1%eth0", "10.0.0.1:1, [fd00::1]:443", "\"10.0.0.1\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, made string) {
		for _, forwarded := range [][]string{{made + ", 198.51.100.7"}, {made, "198.51.100.7"}, {made, "198.51.100.7:40001"}, {made + ",[::ffff:198.51.100.7]:1"}} {
			if got := group(t, "10.0.0.0/8", "10.0.0.1:80", forwarded...); got != "198.51.100.7" {
				t.Errorf("%q: the client is %q", forwarded, got)
			}
		}
		if got := group(t, "10.0.0.0/8", "203.0.113.9:80", made); got != "203.0.113.9" {
			t.Errorf("%q: a stranger is %q", made, got)
		}
	})
}
