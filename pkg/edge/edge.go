// Package edge prepares every request before it is routed: it sets protective headers
// on the answer, removes headers that clients must not set, and rejects paths that
// two readers could understand differently. The local gateway and the services behind
// it share the package, so that neither relies on the other.
package edge

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxHeader bounds the request line and the headers, in bytes; net/http adds 4
// KiB of its own. Beyond it the answer is 431. It is below the limits of common
// proxies, and several times what our clients send.
const MaxHeader = 16 << 10

// Protect sets the default security headers of an answer. Answers are data, not
// pages: browsers must not run, frame or sniff them, nor cache data of a member.
func Protect(h http.Header) {
	protection := [...]struct{ name, value string }{
		{"X-Content-Type-Options", "nosniff"},
		{"Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
		{"X-Frame-Options", "DENY"},
		{"Referrer-Policy", "no-referrer"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
		{"Cache-Control", "no-store"},
	}
	values := make([]string, len(protection)) // one allocation; Set has one per header
	for i, p := range protection {
		values[i] = p.value
		h[p.name] = values[i : i+1 : i+1]
	}
}

// UserID is the header in which a gateway passes the member of a verified token to
// systems that cannot read tokens. Services verify the token themselves.
const UserID = "X-User-Id"

// Strip removes headers in which a client claims an identity without proof. Some
// servers read an underscore as a hyphen, so that spelling is removed too.
func Strip(h http.Header) {
	for name := range h {
		if strings.EqualFold(strings.ReplaceAll(name, "_", "-"), UserID) {
			delete(h, name)
		}
	}
}

// EndAmbiguous closes the connection after the answer to a request whose end
// another server may have seen elsewhere: one in chunked form, and every one of
// HTTP/1.0. RFC 9112, section 6.1, demands it of a request that has both
// Transfer-Encoding and Content-Length, and of an HTTP/1.0 request that has
// Transfer-Encoding. net/http removes the header that it does not use, so harmless
// requests look the same. They only lose a connection: our clients know the length of
// their bodies, and speak HTTP/1.1.
func EndAmbiguous(h http.Header, r *http.Request) {
	if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
		h.Set("Connection", "close")
	}
}

// singular are the request headers that decide something and have one value
// (RFC 9110, section 5.3). net/http refuses a second Host and a Content-Length
// that differs from the first. Lists, such as If-None-Match, may have many lines.
var singular = [...]string{"Authorization", "Content-Type", "Idempotency-Key", "Origin"}

// Repeated returns the name of a single-valued header that occurs more than once, or
// "". Readers disagree on which line counts, so a proxy may have checked another line
// than the service would use.
func Repeated(h http.Header) string {
	for _, name := range singular {
		if len(h[name]) > 1 {
			return name
		}
	}
	return ""
}

// Encoded reports whether the body of a request is in a content coding, such as
// gzip: no service decodes one.
func Encoded(h http.Header) bool {
	for _, line := range h["Content-Encoding"] {
		for coding := range strings.SplitSeq(line, ",") {
			if coding = strings.Trim(coding, " \t"); coding != "" && !strings.EqualFold(coding, "identity") {
				return true
			}
		}
	}
	return false
}

// Plain reports whether a path means the same to every reader: no empty element,
// no dot segment, no separator, parameter, second encoding or control character
// in disguise. Proxies differ in what they decode, merge and cut off, and none
// of our paths needs any of it. One slash at the end is fine.
func Plain(u *url.URL) bool {
	if !strings.HasPrefix(u.Path, "/") || !utf8.ValidString(u.Path) || strings.ContainsAny(u.Path, `\;%`) ||
		strings.ContainsFunc(u.Path, unicode.IsControl) || strings.Contains(strings.ToLower(u.EscapedPath()), "%2f") {
		return false
	}
	if u.Path == "/" {
		return true
	}
	for element := range strings.SplitSeq(strings.TrimSuffix(u.Path[1:], "/"), "/") {
		if strings.Trim(element, ". ") == "" {
			return false
		}
	}
	return true
}
