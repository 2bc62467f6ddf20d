package pgserver

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// After a restart of the machine, any process may have the old server's ID.
func TestStartWithStalePid(t *testing.T) {
	t.Parallel()
	o := quick(folderFor(t))
	mustStop(t, mustStart(t, o))
	pidFile := filepath.Join(o.DataDir, clusterDir, "postmaster.pid")

	other := bystander(t, "/")
	mustWrite(t, pidFile, fmt.Sprintf("%d\n%s\n", other, o.DataDir), 0o600)
	mustStop(t, mustStart(t, o))

	// A server works in its folder, even if it was started by other means.
	foreign := bystander(t, filepath.Join(o.DataDir, clusterDir))
	mustWrite(t, pidFile, fmt.Sprintf("%d\n%s\n", foreign, o.DataDir), 0o600)
	_, err := Start(t.Context(), o)
	wantError(t, err, fmt.Sprint(foreign), "other means", o.DataDir)
}

// bystander runs a process in the folder until the end of the test.
func bystander(t *testing.T, folder string) (pid int) {
	t.Helper()
	cmd := exec.Command("cat")
	cmd.Dir = folder
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return cmd.Process.Pid
}

// The server ends with the process that started it, even if that is killed.
func TestServerEndsWithItsParent(t *testing.T) {
	t.Parallel()
	dir := folderFor(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), parentOf+"="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "started\n" {
		t.Fatal(line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	_ = in.Close()

	f, err := openFolder(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.lockServer(t.Context(), time.Minute); err != nil {
		t.Errorf("the server still runs: %v", err)
	}
	if err := f.close(); err != nil {
		t.Error(err)
	}
}
