// Package datadir manages the folder for what the local stack keeps between
// runs: the database, the built programs and the secrets. Only one process uses
// it at a time.
package datadir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"

	"example.com/pizza/pkg/testkit/pgserver"
)

// ErrInUse means that another process uses the folder.
var ErrInUse = errors.New("in use")

const (
	lockFile    = "lock"
	secretsFile = "secrets.json"
)

// Subfolders: the database's files, the events in NATS, and the metrics of make
// observe's Prometheus.
const (
	Database = "postgres"
	Events   = "nats"
	Metrics  = "prometheus"
)

// Dir is an open folder.
type Dir struct {
	path    string
	lock    *flock.Flock
	secrets *Secrets
}

// Open creates the folder if necessary and locks it. The lock is released when
// the process ends, for any reason. If the folder is already locked, the error is
// ErrInUse with the other process's id.
func Open(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := pgserver.MakeFolder(path); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	lock := flock.New(filepath.Join(path, lockFile), flock.SetPermissions(0o644))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if !ok {
		return nil, fmt.Errorf("data folder %s: %w%s", path, ErrInUse, holder(path))
	}
	if err := os.WriteFile(filepath.Join(path, lockFile), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the data folder: %w", err), lock.Unlock())
	}
	secrets, err := openSecrets(filepath.Join(path, secretsFile))
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	return &Dir{path: path, lock: lock, secrets: secrets}, nil
}

// holder names the process that holds the lock, if its id is in the lock file.
func holder(path string) string {
	b, err := os.ReadFile(filepath.Join(path, lockFile))
	pid := strings.TrimSpace(string(b))
	if err != nil || pid == "" {
		return ""
	}
	return " by process " + pid
}

// Path returns a path in the data folder.
func (d *Dir) Path(elements ...string) string {
	return filepath.Join(append([]string{d.path}, elements...)...)
}

// Secrets returns the secrets in the folder.
func (d *Dir) Secrets() *Secrets { return d.secrets }

// Delete deletes the stack's files and, if nothing else is in it, the folder.
// It then releases the lock, as Close does.
func (d *Dir) Delete() error {
	errs := []error{pgserver.Remove(d.Path(Database))}
	for _, name := range Contents() {
		if name != Database {
			errs = append(errs, os.RemoveAll(d.Path(name)))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return errors.Join(fmt.Errorf("delete the data: %w", err), d.Close())
	}
	if err := os.Remove(d.Path(lockFile)); err != nil {
		return errors.Join(fmt.Errorf("delete the data: %w", err), d.Close())
	}
	_ = os.Remove(d.path) // fails, as intended, if it holds other files
	return d.Close()
}

// Close releases the lock.
func (d *Dir) Close() error {
	if err := d.lock.Unlock(); err != nil {
		return fmt.Errorf("unlock the data folder: %w", err)
	}
	return nil
}
