package pgserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Contents of a data folder.
const (
	clusterDir   = "cluster"     // PostgreSQL's data directory
	unfinished   = "cluster.new" // the same, while initdb creates it
	passwordFile = "password"    // the superuser's
	logFile      = "log"         // of the server, since its last start
	ownerLock    = "owner.lock"  // held by the process that starts the server; marks the folder as ours
	serverLock   = "server.lock" // held by the server, even after that process is gone
)

// fallbackRoot holds root's replacements for data folders that the server's account
// cannot reach. Only root can write there, so no other user can plant a folder with
// a predictable name.
const fallbackRoot = "/var/lib/pizza-postgres"

// temporaryPrefix is the name prefix of temporary data folders.
const temporaryPrefix = "pizza-postgres-"

// folder is a data folder that is locked for this process.
type folder struct {
	path      string
	account   *account // owns the contents of the folder, and runs the server
	owner     *lock
	server    *lock    // nil as soon as the server has it
	temporary []string // deleted by close
}

// openFolder creates the data folder if it is missing, gives it to the account
// that runs the server, and locks it. An empty path means a temporary folder.
func openFolder(ctx context.Context, path string) (*folder, error) {
	var f folder
	if path == "" {
		root := TemporaryRoot()
		sweep(ctx, root)
		temporary, err := os.MkdirTemp(root, temporaryPrefix)
		if err != nil {
			return nil, fmt.Errorf("temporary data folder: %w", err)
		}
		path, f.temporary = temporary, []string{temporary, fallback(temporary)}
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	err = f.open(ctx, where(path))
	if errors.Is(err, errUnreachable) {
		err = f.open(ctx, fallback(path))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("data folder %w", err), f.close())
	}
	return &f, nil
}

// sweep deletes the temporary folders of killed processes, such as tests that were
// interrupted by Ctrl-C. Young folders may not be locked yet. A folder that cannot
// be deleted is another user's, or in use.
func sweep(ctx context.Context, root string) {
	folders, _ := filepath.Glob(filepath.Join(root, temporaryPrefix+"*")) // the pattern is valid
	for _, path := range folders {
		if info, err := os.Lstat(path); err == nil && info.IsDir() && time.Since(info.ModTime()) > time.Hour {
			_ = remove(ctx, path)
		}
	}
}

// fallback returns the folder that replaces one that the server's account cannot
// reach, such as one in /root.
func fallback(path string) string {
	sum := sha256.Sum256([]byte(path))
	return filepath.Join(fallbackRoot, hex.EncodeToString(sum[:8]))
}

// where returns the folder that already has the data: path or its fallback. A
// fallback stays in use even if path becomes reachable.
func where(path string) string {
	if os.Geteuid() != 0 {
		return path
	}
	asked, askedErr := inspect(path)
	standIn, err := inspect(fallback(path))
	if askedErr == nil && !asked.ours && err == nil && standIn.ours {
		return standIn.path
	}
	return path
}

func (f *folder) open(ctx context.Context, path string) error {
	f.path = path
	parent := filepath.Dir(path)
	if err := MakeFolder(parent); err != nil {
		return err
	}
	if parent == fallbackRoot {
		if err := LetIn(parent); err != nil {
			return err
		}
	}
	state, err := inspect(path)
	if err != nil {
		return err
	}
	if f.account, err = accountFor(state); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := f.account.reach(ctx, parent); err != nil {
		return err
	}
	if !state.ours {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
		if err := errors.Join(f.account.own(path), os.Chmod(path, 0o700)); err != nil {
			return err
		}
	}
	f.owner, err = f.lock(ownerLock)
	return err
}

// state describes a data folder before it is opened.
type state struct {
	path string
	ours bool // has been a data folder before
	uid  int  // of its owner, if it is ours
}

// inspect distinguishes a data folder from a new one. Any other folder is an error:
// it must neither be given to another user nor be deleted.
func inspect(path string) (state, error) {
	s := state{path: path}
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case errors.Is(err, fs.ErrPermission):
		return s, foreign(path)
	case err != nil:
		return s, err
	}
	for _, e := range entries {
		s.ours = s.ours || e.Name() == ownerLock
	}
	if len(entries) > 0 && !s.ours {
		return s, fmt.Errorf("%s is not a data folder: choose an empty folder", path)
	}
	s.uid, err = ownerOf(path)
	return s, err
}

// foreign returns the error for another user's data.
func foreign(path string) error {
	owner := "another user"
	if uid, err := ownerOf(path); err == nil {
		owner = userName(uid)
	}
	return fmt.Errorf("%s belongs to %s, because root or another user ran this before: "+
		"run it as that user again, or delete the data with `make clean` as that user or as root", path, owner)
}

func (f *folder) in(name string) string { return filepath.Join(f.path, name) }

// file opens a file in the folder for this process and the server's account.
func (f *folder) file(name string, flag int) (*os.File, error) {
	file, err := openNoFollow(f.in(name), flag|os.O_CREATE|os.O_RDWR)
	if errors.Is(err, fs.ErrPermission) {
		return nil, foreign(f.path)
	}
	if err != nil {
		return nil, err
	}
	if err := f.account.ownFile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// close unlocks the folder and deletes it if it is temporary.
func (f *folder) close() error {
	err := errors.Join(f.owner.release(), f.server.release())
	f.owner, f.server = nil, nil
	for _, path := range f.temporary {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// Remove deletes a data folder and its fallback, and stops a server that a killed
// process left behind there. It returns an error if the folder is in use or is not
// a data folder, but not if it does not exist.
func Remove(dataDir string) error {
	ctx := context.Background() // stopping a server is bounded
	path, err := filepath.Abs(dataDir)
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	return errors.Join(remove(ctx, path), remove(ctx, fallback(path)))
}

func remove(ctx context.Context, path string) error {
	s, err := inspect(path)
	if err != nil {
		return fmt.Errorf("delete the data folder: %w", err)
	}
	if !s.ours {
		return nil
	}
	f := folder{path: path}
	if f.account, err = accountFor(s); err != nil {
		return fmt.Errorf("delete the data folder: %s: %w", path, err)
	}
	f.owner, err = f.lock(ownerLock)
	if err == nil {
		err = f.stopLeftover(ctx)
	}
	if err == nil {
		err = os.RemoveAll(path)
	}
	if err = errors.Join(err, f.close()); err != nil {
		return fmt.Errorf("delete the data folder: %w", err)
	}
	return nil
}
