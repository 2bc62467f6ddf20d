//go:build unix && !linux

package child

import "syscall"

// endWithParent does nothing on this platform: a program outlives a killed parent.
func endWithParent(*syscall.SysProcAttr, syscall.Signal) {}
