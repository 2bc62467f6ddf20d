package pgserver

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// mayWorkIn reports whether the process is a server on the folder, which is then
// its working directory. A process that we cannot inspect is another user's, but
// PostgreSQL must own its folder.
func mayWorkIn(pid int, folder string) bool {
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		return false
	}
	if resolved, err := filepath.EvalSymlinks(folder); err == nil {
		folder = resolved
	}
	return cwd == folder
}

// TemporaryRoot returns the folder for temporary data. It is in memory if there is
// enough space, because a database is copied there several times faster than on
// disk. A container often has only 64 MB there.
func TemporaryRoot() string {
	const inMemory, plenty = "/dev/shm", 2 << 30
	var s syscall.Statfs_t
	if os.Getenv("TMPDIR") == "" && syscall.Statfs(inMemory, &s) == nil && s.Bavail*uint64(s.Bsize) >= plenty {
		return inMemory
	}
	return os.TempDir()
}
