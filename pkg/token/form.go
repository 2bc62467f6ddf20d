package token

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// maxLength bounds the parsed text. Tokens for the longest member id are under 1 KiB.
const maxLength = 4096

// wellFormed reports whether a text has the form of a token of this package: three parts,
// a known header, and one meaning for all readers. It does not check the signature.
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

// foreign reports whether no token in compact form has the character (RFC 7515, section
// 7.1). Go's base64 decoder would skip line ends.
func foreign(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
}

// goodHeader reports whether a header has only parameters of this package's tokens: crit
// must be refused without its extension (RFC 7515, section 4.1.11), jwk, jku and x5u name
// foreign keys, and zip expands.
func goodHeader(header map[string]any) bool {
	for name, value := range header {
		s, ok := value.(string)
		switch name {
		case "alg":
			ok = ok && s == algorithm
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

// object decodes a part of a token. ok is false if the part is not a JSON object, or has a
// duplicate name: readers disagree on which of the two counts.
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
	_, err = d.Token() // the closing brace; the JWT library rejects anything after it
	return fields, err == nil
}
