package natsserver

import (
	"net"
	"runtime"
	"strconv"
	"testing"
)

// TestReservedPort checks that a server can listen on its port again, however many
// ports others take meanwhile.
func TestReservedPort(t *testing.T) {
	t.Parallel()
	ports, err := reservePorts(200)
	if err != nil {
		t.Fatal(err)
	}
	reserved := map[int]bool{}
	for _, port := range ports {
		if reserved[port] {
			t.Fatalf("port %d twice", port)
		}
		reserved[port] = true
	}
	for range 2 {
		for _, port := range ports {
			l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
		for range 500 {
			l, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
			if port := l.Addr().(*net.TCPAddr).Port; reserved[port] && runtime.GOOS == "linux" {
				t.Fatalf("port %d was given away", port)
			}
		}
	}
}
