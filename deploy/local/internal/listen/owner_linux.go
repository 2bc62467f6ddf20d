package listen

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// owner names the process that listens on a TCP port, by proc(5): the socket's
// inode is in /proc/net/tcp, and a link to it among the process's open files.
// Those of other users are hidden, except from root.
func owner(port int) string {
	inode := listeningInode(port)
	if inode == "" {
		return ""
	}
	files, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return ""
	}
	for _, file := range files {
		if target, err := os.Readlink(file); err != nil || target != "socket:["+inode+"]" {
			continue
		}
		process := filepath.Dir(filepath.Dir(file))
		name, err := os.ReadFile(filepath.Join(process, "comm"))
		if err != nil {
			return "process " + filepath.Base(process)
		}
		return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), filepath.Base(process))
	}
	return ""
}

// listeningInode returns the inode of the socket that listens on port.
func listeningInode(port int) string {
	const listening = "0A"
	suffix := fmt.Sprintf(":%04X", port)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			// sl local_address rem_address st queues timer retrnsmt uid timeout inode
			f := strings.Fields(line)
			if len(f) > 9 && strings.HasSuffix(f[1], suffix) && f[3] == listening {
				return f[9]
			}
		}
	}
	return ""
}
