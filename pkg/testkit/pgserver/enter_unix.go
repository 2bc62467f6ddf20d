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

// MakeFolder makes a folder and those above it that are missing. Run by root, it
// lets every account enter the new ones, whatever the umask is: the server has
// an account of its own then. Folders that are there already stay as they are.
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

// LetIn lets every account enter a folder of root's that an earlier run has made
// under a strict umask. It does nothing where there is no folder, or root does
// not run this.
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
// among them. Nobody but the owner may write.
func letRun(folder string) error {
	root, err := os.OpenRoot(folder) // no link leads out of it
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
