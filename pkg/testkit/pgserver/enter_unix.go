//go:build unix

package pgserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// enterable is the mode of a folder that the server's account must enter.
const enterable = 0o755

// MakeFolder creates a folder and its missing parents. As root, it lets every
// account enter the new folders regardless of the umask, because the server then
// has a separate account. Existing folders stay unchanged.
func MakeFolder(path string) error {
	if os.Geteuid() != 0 {
		return os.MkdirAll(path, enterable)
	}
	err := os.Mkdir(path, enterable)
	if errors.Is(err, fs.ErrNotExist) {
		if err := MakeFolder(filepath.Dir(path)); err != nil {
			return err
		}
		err = os.Mkdir(path, enterable)
	}
	if errors.Is(err, fs.ErrExist) {
		info, statErr := os.Stat(path)
		if statErr == nil && !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
		}
		return statErr
	}
	if err != nil {
		return err
	}
	return os.Chmod(path, enterable)
}

// LetIn lets every account enter a folder that root created under a strict umask in
// an earlier run. It does nothing if there is no folder, or if we are not root.
func LetIn(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || os.Geteuid() != 0 {
		return nil
	}
	if err != nil {
		return err
	}
	const enter = 0o011
	if !info.IsDir() || info.Sys().(*syscall.Stat_t).Uid != 0 || info.Mode().Perm()&enter == enter {
		return nil
	}
	return os.Chmod(path, info.Mode().Perm()|enter)
}

// letRun lets every account read the files below a folder, and run the programs
// among them. Only the owner may write.
func letRun(folder string) error {
	root, err := os.OpenRoot(folder) // no symlink leads out of it
	if err != nil {
		return err
	}
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if info.IsDir() || info.Mode()&0o100 != 0 {
			mode = enterable
		}
		return root.Chmod(path, mode)
	})
	if err := errors.Join(err, root.Close()); err != nil {
		return fmt.Errorf("let the server's account run the programs: %w", err)
	}
	return nil
}
