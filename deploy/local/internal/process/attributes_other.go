//go:build !unix

package process

import "syscall"

// attributes has nothing to ask for: there are no process groups here.
func attributes() *syscall.SysProcAttr { return nil }
