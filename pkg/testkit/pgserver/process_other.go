//go:build unix && !linux

package pgserver

import (
	"os"
	"syscall"
)

// mayWorkIn reports whether the process could be a server on the folder. This
// platform has no reliable way to tell.
func mayWorkIn(pid int, _ string) bool { return syscall.Kill(pid, 0) == nil }

// endWithParent does nothing here: a server whose parent was killed lives on
// until the next start on its folder.
func endWithParent(*syscall.SysProcAttr, syscall.Signal) {}

// TemporaryRoot returns the folder for temporary data.
func TemporaryRoot() string { return os.TempDir() }
