package token

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// maxLength bounds the parsed text. Tokens for the longest member id are under 1 KiB.
const maxLength = 4096

// parsed is a token in its parts. Its signature is not checked.
type parsed struct {
	header    map[string]any
	claims    jwt.MapClaims // not a struct, whose fields would match in any letter case
	signed    string        // the text that is signed
	signature []byte
}

// parse splits a token of this package's form: three parts, a known header, and one meaning
// for all readers. ok is false for any other text.
func parse(raw string) (p parsed, ok bool) {
	if len(raw) > maxLength || strings.ContainsFunc(raw, foreign) {
		return parsed{}, false
	}
	header, rest, _ := strings.Cut(raw, ".")
	claims, signature, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(signature, ".") {
		return parsed{}, false
	}
	p.signed = raw[:len(header)+len(".")+len(claims)]
	if p.header, ok = object(header); !ok || !goodHeader(p.header) {
		return parsed{}, false
	}
	if p.claims, ok = object(claims); !ok {
		return parsed{}, false
	}
	var err error
	p.signature, err = decode(signature)
	return p, err == nil
}

// id returns an id for a token that has none, so that it can be revoked too. Issuers that
// share a key with this package may leave it out. A signed text has one spelling only.
func (p parsed) id() string {
	sum := sha256.Sum256([]byte(p.signed))
	return "sha256-" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// decode reads base64 in its only spelling: no padding, and no bits that are left over.
func decode(part string) ([]byte, error) { return base64.RawURLEncoding.Strict().DecodeString(part) }

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
	text, err := decode(part)
	if err != nil || json.Unmarshal(text, &fields) != nil || fields == nil { // nil is null
		return nil, false
	}
	return fields, len(fields) == 0 || len(fields) == members(text)
}

// members returns the number of members of a JSON object that has some, duplicates included.
func members(object []byte) int {
	n, depth, quoted := 1, 0, false
	for i := 0; i < len(object); i++ {
		switch c := object[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++ // a quote may follow
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ',' && depth == 1:
			n++
		}
	}
	return n
}
