package child

import "syscall"

func endWithParent(a *syscall.SysProcAttr, orphaned syscall.Signal) { a.Pdeathsig = orphaned }
