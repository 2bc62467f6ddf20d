package process

import "syscall"

// attributes puts the child in its own process group. The kernel kills it when
// the parent dies, even from kill -9.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
