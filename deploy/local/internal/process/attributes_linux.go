package process

import "syscall"

// attributes puts the child in a process group of its own, and has the kernel
// kill it when the parent is gone, even by kill -9.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
