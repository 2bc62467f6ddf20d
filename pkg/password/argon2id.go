package password

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

const (
	argon2Prefix = "$argon2id$"
	saltLength   = 16 // bytes (RFC 9106, section 3.1)
	keyLength    = 32 // bytes
)

// The bounds of a stored hash. A row that asks for more, by accident or to exhaust
// memory, is not computed. They exceed the recommendation of RFC 9106 for little
// memory (64 MiB, 3 passes, 4 threads).
const (
	maxMemory  = 64 << 10 // KiB
	maxPasses  = 10
	maxThreads = 8
	minSalt    = 8  // bytes, the minimum of RFC 9106
	minKey     = 16 // bytes; RFC 9106 allows 4, which could be guessed
	maxEncoded = 64 // bytes of salt or key
)

// argon2id is a hash by Argon2id, version 19 (RFC 9106).
type argon2id struct {
	memory    uint32 // KiB
	passes    uint32
	threads   uint8
	salt, key []byte
}

func (h argon2id) derive(password string, length int) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.threads, uint32(length)) //nolint:gosec // at most maxEncoded
}

func (h argon2id) matches(password string) bool {
	return subtle.ConstantTimeCompare(h.derive(password, len(h.key)), h.key) == 1
}

func (h argon2id) isOutdated(c Cost) bool {
	return h.memory < c.Memory || h.passes < c.Passes || len(h.salt) < saltLength || len(h.key) < keyLength
}

func (h argon2id) work() (string, uint64) { return Argon2id, Cost{h.memory, h.passes}.Work() }

// String returns the PHC string: $argon2id$v=19$m=19456,t=2,p=1$salt$key
func (h argon2id) String() string {
	return fmt.Sprintf("%sv=%d$m=%d,t=%d,p=%d$%s$%s", argon2Prefix, argon2.Version, h.memory, h.passes, h.threads,
		base64.RawStdEncoding.EncodeToString(h.salt), base64.RawStdEncoding.EncodeToString(h.key))
}

// parseArgon2id reads the output of String, and nothing else. It returns
// ErrUnreadable.
func parseArgon2id(stored string) (argon2id, error) {
	parts := strings.Split(strings.TrimPrefix(stored, argon2Prefix), "$")
	if len(parts) != 4 || parts[0] != "v="+strconv.Itoa(argon2.Version) {
		return argon2id{}, ErrUnreadable
	}
	costs := strings.Split(parts[1], ",")
	if len(costs) != 3 {
		return argon2id{}, ErrUnreadable
	}
	m, okMemory := parameter(costs[0], "m=", maxMemory)
	t, okPasses := parameter(costs[1], "t=", maxPasses)
	p, okThreads := parameter(costs[2], "p=", maxThreads)
	salt, okSalt := decode(parts[2], minSalt)
	key, okKey := decode(parts[3], minKey)
	if !okMemory || !okPasses || !okThreads || !okSalt || !okKey || m < 8*p {
		return argon2id{}, ErrUnreadable
	}
	return argon2id{memory: m, passes: t, threads: uint8(p), salt: salt, key: key}, nil //nolint:gosec // at most maxThreads
}

// parameter reads an integer from 1 to most without leading zeros.
func parameter(text, name string, most uint32) (uint32, bool) {
	digits, named := strings.CutPrefix(text, name)
	n, err := strconv.ParseUint(digits, 10, 32)
	if !named || err != nil || n < 1 || n > uint64(most) || strconv.FormatUint(n, 10) != digits {
		return 0, false
	}
	return uint32(n), true
}

// decode reads the unpadded base64 of the PHC string format.
func decode(text string, minLength int) ([]byte, bool) {
	if len(text) > base64.RawStdEncoding.EncodedLen(maxEncoded) || strings.ContainsAny(text, "\r\n") {
		return nil, false // the decoder skips line ends
	}
	b, err := base64.RawStdEncoding.Strict().DecodeString(text)
	return b, err == nil && len(b) >= minLength
}
