package listen

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// owner names the process that blocks a TCP port of host. It uses proc(5): the
// socket's inode is in /proc/net/tcp, and a link to it is among the process's
// open files. Only root sees the open files of other users.
func owner(host string, port int) string {
	inode := listeningInode(host, port)
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

// listeningInode returns the inode of the socket that listens on port, at an
// address that conflicts with host.
func listeningInode(host string, port int) string {
	const listening = "0A"
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			// sl local_address rem_address st queues timer retrnsmt uid timeout inode
			f := strings.Fields(line)
			if len(f) <= 9 || f[3] != listening {
				continue
			}
			if a, ok := parseAddress(f[1]); ok && int(a.Port()) == port && excludes(a.Addr(), host) {
				return f[9]
			}
		}
	}
	return ""
}

// parseAddress parses an address such as "0100007F:1F90". The IP address is in
// four-byte words in the machine's byte order, little-endian on all supported
// platforms. The port follows.
func parseAddress(text string) (netip.AddrPort, bool) {
	address, port, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(address)
	if err != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(b, 4) {
		slices.Reverse(word)
	}
	ip, ok := netip.AddrFromSlice(b)
	number, err := strconv.ParseUint(port, 16, 16)
	return netip.AddrPortFrom(ip, uint16(number)), ok && err == nil
}

// excludes reports whether a listener on taken prevents a listener on host. The
// unspecified IPv6 address is assumed to include IPv4, which is usual. A host
// name can be any address.
func excludes(taken netip.Addr, host string) bool {
	wanted, err := netip.ParseAddr(host)
	if err != nil {
		return true
	}
	taken = taken.Unmap()
	return taken == wanted.WithZone("") ||
		taken.IsUnspecified() && (taken.Is6() || wanted.Is4()) ||
		wanted.IsUnspecified() && (wanted.Is6() || taken.Is4())
}
