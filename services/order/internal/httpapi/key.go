package httpapi

import (
	"fmt"
	"strings"

	"example.com/pizza/pkg/fault"
)

const (
	keyHeader      = "Idempotency-Key"     // draft-ietf-httpapi-idempotency-key-header-07
	repeatedHeader = "Idempotent-Replayed" // "true" on an answer that was given before; no standard has it, clients of others know it
	maxKey         = 255                   // characters, as in the table
)

// readKey reads the Idempotency-Key header; no header is no key. The draft has a
// quoted string (RFC 8941, section 3.3.3), most clients send the bare text: both
// are the same key.
func readKey(header *string) (string, error) {
	if header == nil {
		return "", nil
	}
	key := strings.Trim(*header, " \t")
	if strings.HasPrefix(key, `"`) {
		text, ok := unquote(key)
		if !ok {
			return "", badKey("must be one quoted string, or plain text")
		}
		key = text
	}
	if len(key) == 0 || len(key) > maxKey {
		return "", badKey(fmt.Sprintf("must have 1 to %d characters", maxKey))
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return "", badKey("must be of visible ASCII characters")
		}
	}
	return key, nil
}

func badKey(rule string) error {
	return fault.InvalidFields(fault.Field{Field: keyHeader, Message: rule})
}

// unquote reads a String of a structured field that is all of s: only the quote
// and the backslash are escaped, by a backslash.
func unquote(s string) (string, bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), i == len(s)-1
		case '\\':
			i++
			if i == len(s) || (s[i] != '"' && s[i] != '\\') {
				return "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", false
}
