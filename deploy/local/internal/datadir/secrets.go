package datadir

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Secrets are random values that stay the same between runs. They protect only
// this machine's test data, but still never appear in the repository, on a
// command line or in a log.
type Secrets struct {
	path   string
	values map[string]string
}

func openSecrets(path string) (*Secrets, error) {
	s := &Secrets{path: path, values: map[string]string{}}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the secrets: %w", err)
	}
	if err := json.Unmarshal(b, &s.values); err != nil || s.values == nil {
		return nil, fmt.Errorf("%s is damaged; delete it to create new secrets", path)
	}
	return s, nil
}

// File returns the file that holds the secrets: a JSON object, readable by its owner.
func (s *Secrets) File() string { return s.path }

// Get returns the named secret, and creates it if there is none: 52 characters
// with 260 random bits.
func (s *Secrets) Get(name string) (string, error) {
	if v := s.values[name]; v != "" {
		return v, nil
	}
	s.values[name] = rand.Text() + rand.Text()
	if err := s.save(); err != nil {
		delete(s.values, name)
		return "", err
	}
	return s.values[name], nil
}

// save replaces the file atomically. Only its owner can read it.
func (s *Secrets) save() error {
	b, err := json.MarshalIndent(s.values, "", "  ")
	if err != nil {
		return fmt.Errorf("keep the secrets: %w", err)
	}
	fresh := s.path + ".new"
	if err := os.WriteFile(fresh, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("keep the secrets: %w", err)
	}
	if err := os.Rename(fresh, s.path); err != nil {
		return fmt.Errorf("keep the secrets: %w", err)
	}
	return nil
}
