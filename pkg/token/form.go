package token

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// maxLength bounds what is parsed; our own tokens are under 1 KiB for the
// longest member id.
const maxLength = 4096

// wellFormed reports whether a text may be one of our tokens: three parts, whose
// first is a header such as ours, and of which no two readers could make two
// different tokens. The signature is not looked at.
func wellFormed(raw string) bool {
	if len(raw) > maxLength || strings.ContainsFunc(raw, foreign) {
		return false
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return false
	}
	header, ok := object(parts[0])
	if !ok || !goodHeader(header) {
		return false
	}
	_, ok = object(parts[1])
	return ok
}

// foreign tells the characters that no token in compact form is written with
// (RFC 7515, section 7.1). Go's base64 decoder would read over line ends.
func foreign(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
}

// goodHeader accepts the parameters that our tokens have and no other one: crit
// has a verifier of no extension refuse (RFC 7515, section 4.1.11), jwk, jku and
// x5u would have it fetch a key, and zip expand.
func goodHeader(header map[string]any) bool {
	for name, value := range header {
		s, ok := value.(string)
		switch name {
		case "alg":
			ok = ok && s == jwt.SigningMethodHS256.Alg()
		case "typ":
			ok = ok && strings.EqualFold(s, "JWT")
		case "kid":
		default:
			ok = false
		}
		if !ok {
			return false
		}
	}
	_, ok := header["alg"]
	return ok
}

// object decodes a part of a token. ok is false where it is no JSON object, or
// has a name twice: readers disagree on which of the two counts.
func object(part string) (fields map[string]any, ok bool) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	fields = map[string]any{}
	for d.More() {
		t, err := d.Token()
		name, isName := t.(string)
		if err != nil || !isName {
			return nil, false
		}
		var value any
		if _, twice := fields[name]; twice || d.Decode(&value) != nil {
			return nil, false
		}
		fields[name] = value
	}
	_, err = d.Token() // the closing brace; what follows it, the JWT library refuses
	return fields, err == nil
}
