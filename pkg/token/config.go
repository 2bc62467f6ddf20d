package token

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"example.com/pizza/pkg/secret"
)

// Config is the source of the keys. A key in a variable stays for the lifetime of the
// process; a key file is reread when it changes.
type Config struct {
	Secret       secret.Text   `env:"JWT_SECRET" doc:"Key that signs access tokens (HS256), at least 32 bytes, equal for all services; this or JWT_SECRET_FILE is required"`
	SecretFile   string        `env:"JWT_SECRET_FILE" doc:"File with the signing key instead, such as of a mounted Kubernetes Secret; reread without a restart"`
	Previous     []secret.Text `env:"JWT_SECRET_PREVIOUS" doc:"Further keys whose tokens are accepted, separated by commas, for a rotation that logs no one out"`
	PreviousFile string        `env:"JWT_SECRET_PREVIOUS_FILE" doc:"File with further accepted keys, one per line; may be empty, but must exist"`
	Every        time.Duration // pause between two reads of the key files; 0 is DefaultEvery, which only tests change
}

// DefaultEvery is the pause between two reads of the key files. A read takes a few hundred
// bytes, and a Kubernetes Secret needs up to a minute to arrive: no other pause would help.
const DefaultEvery = time.Second

const (
	minSecret = 32       // bytes of an HS256 key (RFC 7518, section 3.2)
	maxKeys   = 8        // in all; a token without a kid is tried with each
	maxFile   = 64 << 10 // bytes of a file of keys: no more is read of a wrong one
)

// Validate reports unusable keys by the names of their variables, never by their values.
// It reads the files.
func (c Config) Validate() error {
	_, err := c.load(readFile)
	return err
}

// files reports whether there are key files.
func (c Config) files() bool { return c.SecretFile != "" || c.PreviousFile != "" }

// load returns the current keys, or every error of theirs.
func (c Config) load(read func(path string) (string, error)) (ring, error) {
	var signing, others []secret.Text
	var bad []error
	if err := checkSource(c.Secret, c.SecretFile); err != nil {
		bad = append(bad, err)
	} else if c.Secret != "" {
		signing = []secret.Text{c.Secret}
		bad = append(bad, checkSecrets("JWT_SECRET", signing))
	} else {
		lines, err := secretsIn("JWT_SECRET_FILE", c.SecretFile, read)
		if err == nil && len(lines) != 1 {
			err = fmt.Errorf("JWT_SECRET_FILE must hold one key (it holds %d)", len(lines))
		}
		signing, bad = lines, append(bad, err)
	}
	others = c.Previous
	bad = append(bad, checkSecrets("JWT_SECRET_PREVIOUS", others))
	if c.PreviousFile != "" {
		lines, err := secretsIn("JWT_SECRET_PREVIOUS_FILE", c.PreviousFile, read)
		others, bad = slices.Concat(others, lines), append(bad, err)
	}
	r := newRing(slices.Concat(signing, others))
	if len(r) > maxKeys {
		bad = append(bad, fmt.Errorf("JWT_SECRET_PREVIOUS and JWT_SECRET_PREVIOUS_FILE hold too many keys: %d of at most %d", len(r)-1, maxKeys-1))
	}
	return r, errors.Join(bad...)
}

func checkSource(key secret.Text, file string) error {
	switch {
	case key == "" && file == "":
		return errors.New("JWT_SECRET or JWT_SECRET_FILE is required")
	case key != "" && file != "":
		return errors.New("JWT_SECRET and JWT_SECRET_FILE exclude each other")
	default:
		return nil
	}
}

// secretsIn returns the keys in a file: its lines without blank lines and surrounding
// blanks, which editors and kubectl add.
func secretsIn(variable, path string, read func(string) (string, error)) ([]secret.Text, error) {
	text, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", variable, err)
	}
	var secrets []secret.Text
	for line := range strings.Lines(text) {
		if s := strings.TrimSpace(line); s != "" {
			secrets = append(secrets, secret.Text(s))
		}
	}
	return secrets, checkSecrets(variable, secrets)
}

func checkSecrets(variable string, secrets []secret.Text) error {
	for _, s := range secrets {
		if len(s) < minSecret {
			return fmt.Errorf("%s: a key must be at least %d bytes long (one has %d)", variable, minSecret, len(s))
		}
		if strings.TrimSpace(string(s)) != string(s) {
			return fmt.Errorf("%s: a key must not begin or end with a blank or a line end, which a file could not hold", variable)
		}
	}
	return nil
}

func readFile(path string) (text string, err error) {
	f, err := os.Open(path) //nolint:gosec // named by the operator
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxFile)
	}
	return string(data), err
}
