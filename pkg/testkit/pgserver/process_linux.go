package pgserver

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// mayWorkIn reports whether the process is a server on the folder: a server
// changes into it. A process that we may not look at is another user's, and
// PostgreSQL insists on owning its folder.
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

// endWithParent has the kernel send the signal to a child when this process is
// gone, even if it was killed. What counts is the end of the *thread* that
// starts the child: the caller must keep it, with runtime.LockOSThread, until
// the child is gone.
func endWithParent(a *syscall.SysProcAttr, signal syscall.Signal) { a.Pdeathsig = signal }

// TemporaryRoot returns the folder for temporary data: in memory, where a
// database is copied several times quicker than on a disk, if there is plenty
// of room. A container often has only 64 MB there.
func TemporaryRoot() string {
	const inMemory, plenty = "/dev/shm", 2 << 30
	var s syscall.Statfs_t
	if os.Getenv("TMPDIR") == "" && syscall.Statfs(inMemory, &s) == nil && s.Bavail*uint64(s.Bsize) >= plenty {
		return inMemory
	}
	return os.TempDir()
}
