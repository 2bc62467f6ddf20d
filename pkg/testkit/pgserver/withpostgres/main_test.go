package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// asCommand makes this test program behave as withpostgres does.
const asCommand = "WITHPOSTGRES_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// command returns withpostgres with the arguments and only the given variables.
func command(t *testing.T, variables []string, arguments ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], arguments...)
	cmd.Env = append([]string{asCommand + "=1", "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, variables...)
	return cmd
}

func TestExitStatus(t *testing.T) {
	t.Parallel()
	other := variable + "=postgres://elsewhere/postgres"
	tests := map[string]struct {
		arguments []string
		status    int
		output    string
	}{
		"success":         {[]string{"true"}, 0, ""},
		"failure":         {[]string{"sh", "-c", "exit 7"}, 7, ""},
		"signal":          {[]string{"sh", "-c", "kill -TERM $$"}, 143, ""},
		"no such command": {[]string{"no-such-command"}, 127, "no-such-command"},
		"no command":      {nil, 2, "withpostgres COMMAND"},
		"other server":    {[]string{"sh", "-c", "echo $" + variable}, 0, "postgres://elsewhere/postgres\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t, []string{other}, tt.arguments...)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if got := cmd.ProcessState.ExitCode(); got != tt.status {
				t.Errorf("exit status %d, want %d", got, tt.status)
			}
			if !strings.Contains(string(out), tt.output) {
				t.Errorf("output %q, want %q", out, tt.output)
			}
		})
	}
}

// The command decides when to end, and the server runs until then.
func TestServer(t *testing.T) {
	t.Parallel()
	const script = `trap 'read line; exit 5' TERM; echo $TEST_DATABASE_URL; while :; do read line; done`
	cmd := command(t, []string{"DATABASE_URL=postgres://production/postgres"}, "sh", "-c", script)
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
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address = strings.TrimSpace(address)
	folder := show(t, address, "data_directory")
	if got := show(t, address, "fsync"); got != "off" {
		t.Errorf("fsync is %s", got)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := show(t, address, "data_directory"); got != folder {
		t.Errorf("another server: %s", got)
	}
	if _, err := fmt.Fprintln(in, "\nend"); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 5 {
		t.Errorf("the command ended with %v, want exit status 5", err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the data is still there: %v", err)
	}
	if _, err := pgx.Connect(t.Context(), address); err == nil {
		t.Error("the server is still there")
	}
}

func show(t *testing.T, address, setting string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	var value string
	if err := conn.QueryRow(t.Context(), "SELECT current_setting($1)", setting).Scan(&value); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return value
}
