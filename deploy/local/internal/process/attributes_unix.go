//go:build unix && !linux

package process

import "syscall"

// attributes puts the child in its own process group. Without Linux's
// parent-death signal, a child whose parent was killed exits at its next log
// line: a broken pipe on standard output ends a Go program.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
