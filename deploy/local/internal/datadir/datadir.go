// Package datadir is the folder where the local stack keeps what outlives a
// run: the database, the built programs and the secrets. Only one process at a
// time uses it.
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

// ErrInUse says that another process uses the folder.
var ErrInUse = errors.New("in use")

const (
	lockFile    = "lock"
	secretsFile = "secrets.json"
)

// Folders inside: the database's files, the events in NATS, and what the
// Prometheus of make observe has measured.
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

// Open makes the folder if it is not there and locks it. The lock goes with the
// process, however that ends. The error is ErrInUse, with the other process's
// id, when the folder is locked already.
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

// holder names the process that has the lock, if it says who it is.
func holder(path string) string {
	b, err := os.ReadFile(filepath.Join(path, lockFile))
	pid := strings.TrimSpace(string(b))
	if err != nil || pid == "" {
		return ""
	}
	return " by process " + pid
}

// Path returns the path of a file or folder in the folder.
func (d *Dir) Path(elements ...string) string {
	return filepath.Join(append([]string{d.path}, elements...)...)
}

// Secrets returns the secrets that are kept here.
func (d *Dir) Secrets() *Secrets { return d.secrets }

// Delete deletes what the stack keeps here and, if nothing else is in it, the
// folder. It unlocks what is left, as Close does.
func (d *Dir) Delete() error {
	errs := []error{pgserver.Remove(d.Path(Database))}
	for _, name := range Contents() {
		if name != Database {
			errs = append(errs, os.RemoveAll(d.Path(name)))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return errors.Join(fmt.Errorf("forget the data: %w", err), d.Close())
	}
	if err := os.Remove(d.Path(lockFile)); err != nil {
		return errors.Join(fmt.Errorf("forget the data: %w", err), d.Close())
	}
	_ = os.Remove(d.path) // it stays if somebody else's files are in it
	return d.Close()
}

// Close lets another process use the folder.
func (d *Dir) Close() error {
	if err := d.lock.Unlock(); err != nil {
		return fmt.Errorf("unlock the data folder: %w", err)
	}
	return nil
}
