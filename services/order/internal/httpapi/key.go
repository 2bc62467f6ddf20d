package httpapi

import (
	"fmt"
	"strings"

	"example.com/pizza/pkg/fault"
)

const (
	keyHeader      = "Idempotency-Key"     // draft-ietf-httpapi-idempotency-key-header-07
	replayedHeader = "Idempotent-Replayed" // "true" on a repeated answer; not in the draft, but in use by other APIs
	maxKey         = 255                   // characters; the column idempotency_key.key
)

// readKey reads the Idempotency-Key header, or returns "" without one. The draft
// requires a quoted string (RFC 8941, section 3.3.3); most clients send bare text.
// Both are the same key.
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

// unquote returns the value of s, a String of a structured field. Only quotes and
// backslashes are escaped, by a backslash.
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
