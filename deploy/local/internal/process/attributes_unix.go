//go:build unix && !linux

package process

import "syscall"

// attributes puts the child in a process group of its own. Without Linux'
// parent-death signal, a child whose parent was killed ends at its next log
// line: a Go program dies of a broken pipe on its standard output.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
