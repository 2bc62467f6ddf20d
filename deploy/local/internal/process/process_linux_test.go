package process

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestParentKilled checks that no child survives a supervisor that is killed.
// The child holds a connection, which closes when it dies.
func TestParentKilled(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	supervisor := exec.Command(os.Args[0])
	supervisor.Env = append(os.Environ(), "TEST_SUPERVISE="+l.Addr().String(), "TEST_CHILD="+program)
	if err := supervisor.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	hello, err := r.ReadString('\n')
	if err != nil || !slices.Contains(strings.Fields(hello), fmt.Sprint(supervisor.Process.Pid)) {
		t.Fatalf("the child says %q, %v", hello, err)
	}
	if err := supervisor.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadString('\n'); err == nil {
		t.Error("the child still talks")
	}
	if err := supervisor.Wait(); err == nil {
		t.Error("the supervisor was not killed")
	}
}
