//go:build unix && !linux

package pgserver

import (
	"os"
	"syscall"
)

// mayWorkIn reports whether the process could be a server on the folder. This
// platform has no reliable way to tell.
func mayWorkIn(pid int, _ string) bool { return syscall.Kill(pid, 0) == nil }

// TemporaryRoot returns the folder for temporary data.
func TemporaryRoot() string { return os.TempDir() }
