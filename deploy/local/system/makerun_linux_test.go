package system

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"example.com/pizza/pkg/testkit/pgtest"
)

// TestMakeRun drives the command line like `make run` and a user at the
// terminal. Its steps run in sequence on one data folder.
func TestMakeRun(t *testing.T) {
	t.Parallel()
	local := buildLocal(t)
	data := filepath.Join(pgtest.Folder(t), "data")

	first := local.run(t, "run", "--port", "0", "--data", data)
	t.Run("the guide says where everything is", func(t *testing.T) { first.testGuide(t) })
	t.Run("the printed lines walk the flow", func(t *testing.T) { first.testCommands(t) })
	t.Run("the logs follow, to read", func(t *testing.T) {
		first.waitFor(t, regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d{3} order   INFO  request method=GET route=/order/myorder/ status=401 `))
	})
	t.Run("the kitchen prints a ticket for each order", func(t *testing.T) {
		first.waitForAll(t, regexp.MustCompile(`(?m)^kitchen BRANCH001  order .*\n   2 x bbq_ckn_l\n`), 1)
		first.waitForAll(t, regexp.MustCompile(`(?m)^kitchen BRANCH001  order .*\n   1 x hawaiian_s\n   3 x veggie_veg_m\n`), 1)
	})
	t.Run("a second one says who runs, and what to do", func(t *testing.T) {
		out := local.fail(t, "run", "--port", "0", "--data", data)
		want := fmt.Sprintf("the stack runs already: data folder %s: in use by process %d", data, first.cmd.Process.Pid)
		if !strings.Contains(out, want) || !strings.Contains(out, "make run PORT=8080 DATA=.local/second") {
			t.Errorf("output %q, want %q and a way out", out, want)
		}
	})
	t.Run("a taken port is told at once", func(t *testing.T) {
		out := local.fail(t, "run", "--port", first.port(t), "--data", filepath.Join(pgtest.Folder(t), "data"))
		want := fmt.Sprintf("port %s is taken by local (process %d)", first.port(t), first.cmd.Process.Pid)
		if !strings.Contains(out, want) || !strings.Contains(out, "make run PORT=8080") || strings.Contains(out, "PostgreSQL") {
			t.Errorf("output %q, want %q and a way out, before any work", out, want)
		}
	})
	t.Run("clean refuses while it runs", func(t *testing.T) {
		if out := local.fail(t, "clean", "--data", data); !strings.Contains(out, "the stack is still running") {
			t.Errorf("output %q", out)
		}
	})
	t.Run("killed, it leaves no service", func(t *testing.T) {
		connections := first.connect(t)
		if err := first.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for _, c := range connections { // ends when the service dies
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Error("a service still answers")
			}
		}
		if err := first.end(t); err == nil {
			t.Error("the command was not killed")
		}
	})

	// A typical user environment: settings for other databases, and a log level
	// that hides the services' "listening" lines.
	odd := local
	odd.environ = []string{
		"LOG_LEVEL=error", "PGSERVICE=work", "PGHOST=192.0.2.1", "PGOPTIONS=-c search_path=elsewhere", "PGSSLROOTCERT=/nowhere", "PGTZ=Mars/Base",
		"HTTP_ADDR=:1", "INTERNAL_ADDR=:1", "METRICS_ADDR=:1",
	}
	odd.umask = "077"
	second := odd.run(t, "run", "--port", "0", "--data", data, "--events", "nats")
	t.Run("the next start finds the data", func(t *testing.T) {
		out := second.shell(t, "curl -sS -o /dev/null -w '%{http_code}' -d id=kim -d pw=kims-secret "+second.url+"/api/login/")
		if out != "200" {
			t.Errorf("login after the restart: %s, want 200", out)
		}
	})
	t.Run("NATS brings the tickets, if asked to", func(t *testing.T) {
		if !strings.Contains(second.text(), "NATS at nats://127.0.0.1:") {
			t.Error("no NATS was started")
		}
		second.shell(t, second.commands[0]+"\n"+second.commands[2]+`
			curl -sS --fail -o /dev/null "$API/order/" -H "Authorization: Bearer $TOKEN" \
				-d branchId=BRANCH001 -d 'lines=[{"pizza_id":"calabrese_m","quantity":7}]'`)
		second.waitForAll(t, regexp.MustCompile(`(?m)^kitchen BRANCH001  order .*\n   7 x calabrese_m\n`), 1)
	})
	t.Run("Ctrl-C stops everything", func(t *testing.T) {
		if err := second.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := second.end(t); err != nil {
			t.Errorf("exit: %v, want status 0\n%s", err, second.text())
		}
		for _, address := range append([]string{hostOf(t, second.url), hostOf(t, second.database)}, second.services...) {
			if c, err := net.Dial("tcp", address); err == nil {
				_ = c.Close()
				t.Errorf("%s still answers", address)
			}
		}
	})

	third := local.run(t, "run", "--port", "0", "--data", data, "--restart-after", "10ms")
	t.Run("a service that dies is started again", func(t *testing.T) {
		old := child(t, third.cmd.Process.Pid, "menu")
		if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		third.waitFor(t, regexp.MustCompile(`stack   ERROR service exited unexpectedly name=menu how="signal: killed" starts_again_in=10ms`))
		third.waitFor(t, regexp.MustCompile(`menu    INFO  listening public=`+regexp.QuoteMeta(third.services[1])))
		if now := child(t, third.cmd.Process.Pid, "menu"); now == old {
			t.Errorf("the process is still %d", now)
		}
		if out := third.shell(t, "curl -sS -o /dev/null -w '%{http_code}' "+third.url+"/api/menu/"); out != "200" {
			t.Errorf("the menu through the gateway: %s, want 200", out)
		}
		if err := third.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := third.end(t); err != nil {
			t.Errorf("exit: %v, want status 0", err)
		}
	})
	t.Run("clean forgets the data", func(t *testing.T) {
		if out, err := local.command(t, "clean", "--data", data).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if exists(t, filepath.Join(data, "postgres")) || exists(t, filepath.Join(data, "secrets.json")) {
			t.Error("the data is still there")
		}
	})
}

// program is the built command.
type program struct {
	path    string
	environ []string // in addition to this process's
	umask   string
}

func buildLocal(t *testing.T) program {
	t.Helper()
	p := program{path: filepath.Join(t.TempDir(), "local"), environ: []string{"LOG_LEVEL=info"}, umask: "022"}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", p.path, "../cmd/local").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return p
}

func (p program) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", "umask " + p.umask + `; exec "$0" "$@"`, p.path}, args...)...)
	cmd.Dir = root(t)
	cmd.Env = append(append(os.Environ(), "DATABASE_URL="), p.environ...)
	return cmd
}

// fail runs a command that must fail, and returns its output.
func (p program) fail(t *testing.T, args ...string) string {
	t.Helper()
	out, err := p.command(t, args...).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("exit: %v, want status 1\n%s", err, out)
	}
	return string(out)
}

// running is a started `local run` that has printed its guide.
type running struct {
	cmd      *exec.Cmd
	output   bytes.Buffer // all output read so far
	lines    *bufio.Reader
	url      string
	database string
	services []string // host:port, public
	commands []string
	ended    chan struct{}
	err      error
}

// run starts the command and reads its output up to the end of the guide.
func (p program) run(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{cmd: p.command(t, args...), ended: make(chan struct{})}
	pr, pw := io.Pipe()
	r.cmd.Stdout, r.cmd.Stderr = pw, pw
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		r.err = r.cmd.Wait()
		_ = pw.Close() // never fails
		close(r.ended)
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = r.end(t)
	})
	r.lines = bufio.NewReader(pr)
	commands := false
	for {
		line := r.line(t)
		fields := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "Ctrl-C stops everything."):
			return r
		case strings.HasPrefix(line, "API="):
			commands = true
			r.url = strings.TrimSuffix(strings.TrimPrefix(line, "API="), "/api")
		case len(fields) > 2 && (fields[0] == "login" || fields[0] == "menu" || fields[0] == "order") && strings.HasPrefix(fields[1], "http://"):
			r.services = append(r.services, hostOf(t, fields[1]))
		case len(fields) > 2 && fields[0] == "database":
			r.database = strings.Trim(fields[2], `"`)
		}
		if commands && line != "" {
			r.commands = append(r.commands, line)
		}
	}
}

func (r *running) line(t *testing.T) string {
	t.Helper()
	line, err := r.lines.ReadString('\n')
	r.output.WriteString(line)
	if err != nil {
		t.Fatalf("the output ended: %v\n%s", err, r.text())
	}
	return strings.TrimSuffix(line, "\n")
}

// waitFor reads until a line matches.
func (r *running) waitFor(t *testing.T, pattern *regexp.Regexp) {
	t.Helper()
	for !pattern.MatchString(r.line(t)) {
		continue
	}
}

// waitForAll reads until the output so far has n matches.
func (r *running) waitForAll(t *testing.T, pattern *regexp.Regexp, n int) {
	t.Helper()
	for len(pattern.FindAllString(r.text(), -1)) < n {
		r.line(t)
	}
}

// end reads the rest of the output and returns the command's exit error.
func (r *running) end(t *testing.T) error {
	t.Helper()
	if _, err := r.output.ReadFrom(r.lines); err != nil {
		t.Error(err)
	}
	<-r.ended
	return r.err
}

func (r *running) text() string { return r.output.String() }

func (r *running) port(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(hostOf(t, r.url))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// connect opens a connection to each service and to the gateway.
func (r *running) connect(t *testing.T) []net.Conn {
	t.Helper()
	var connections []net.Conn
	for _, address := range append([]string{hostOf(t, r.url)}, r.services...) {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		connections = append(connections, c)
	}
	return connections
}

// shell runs a script as if pasted into a shell, and returns its output.
func (r *running) shell(t *testing.T, script string) string {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatalf("this test runs the lines that the guide prints, and they need curl: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-eu")
	cmd.Stdin = strings.NewReader(script)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%v\n%s\n%s", err, out, stderr.String())
	}
	return string(out)
}

func (r *running) testGuide(t *testing.T) {
	if len(r.services) != 3 || r.url == "" || r.database == "" {
		t.Errorf("url %q, database %q, services %q", r.url, r.database, r.services)
	}
	for _, want := range []string{r.url + "/api", r.url + "/docs", "demo member", "/metrics"} {
		if !strings.Contains(r.text(), want) {
			t.Errorf("%q is not in the guide", want)
		}
	}
}

// testCommands runs the guide's commands in a shell.
func (r *running) testCommands(t *testing.T) {
	var answers []string
	for line := range strings.Lines(r.shell(t, strings.Join(r.commands, "\n")+"\n")) {
		if line = strings.TrimSpace(line); line != "" {
			answers = append(answers, line)
		}
	}
	want := []string{ // part of each response, in order
		`"member_id":"kim"`,
		`"pizza_id":"bbq_ckn_l"`,
		`{"pizza_id":"bbq_ckn_l"}`,
		`"bran_id":"`,
		`"total_price":41.5`,
		`"total_price":58.5`,
		`"pizza_id":"veggie_veg_m"`,
		`"status":"logged out"`,
		`"status":401`, // the orders again, after the logout
	}
	if len(answers) != len(want) {
		t.Fatalf("%d answers, want %d:\n%s", len(answers), len(want), strings.Join(answers, "\n"))
	}
	for i := range want {
		if !strings.Contains(answers[i], want[i]) {
			t.Errorf("answer %d is %s, want %s in it", i+1, answers[i], want[i])
		}
	}
}

func hostOf(t *testing.T, address string) string {
	t.Helper()
	m := regexp.MustCompile(`://(?:[^@/]*@)?([^/]+)`).FindStringSubmatch(address)
	if m == nil {
		t.Fatalf("no host in %q", address)
	}
	return m[1]
}

// child returns the id of the child process with that name (proc(5)).
func child(t *testing.T, parent int, name string) int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has exited
		}
		var pid, ppid int
		var state string
		comm := strings.TrimSuffix(regexp.MustCompile(`\(.*\)`).FindString(string(b)), ")")
		if _, err := fmt.Sscanf(strings.Replace(string(b), comm+")", "", 1), "%d %s %d", &pid, &state, &ppid); err != nil {
			continue
		}
		if ppid == parent && strings.TrimPrefix(comm, "(") == name {
			return pid
		}
	}
	t.Fatalf("process %s has no child %s", strconv.Itoa(parent), name)
	return 0
}
