package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/pkg/pgurl"
	"example.com/pizza/pkg/testkit/child"
)

// attempt is a signal to stop a server, and how long to wait for it.
type attempt struct {
	signal syscall.Signal
	wait   time.Duration
}

// attempts returns the ways to stop a server: a fast shutdown, then an immediate
// one, which costs a recovery at the next start, then SIGKILL.
func attempts() []attempt {
	return []attempt{
		{syscall.SIGINT, 20 * time.Second},
		{syscall.SIGQUIT, 5 * time.Second},
		{syscall.SIGKILL, 5 * time.Second},
	}
}

// process is a server's main process.
type process struct {
	*child.Process
	log     string // path of the server's log
	stopped sync.Once
	stopErr error
}

// run starts the server on its port and returns when it accepts connections.
func (s *Server) run(ctx context.Context, b binaries, wanted map[string]string) error {
	f := s.folder
	log, err := f.file(logFile, os.O_TRUNC)
	if err != nil {
		return fmt.Errorf("open the server's log: %w", err)
	}
	// The server outlives the start, and therefore ctx.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), b.path("postgres"), "-D", f.in(clusterDir))
	for name, value := range s.settings(wanted) {
		cmd.Args = append(cmd.Args, "--"+name+"="+value)
	}
	slices.Sort(cmd.Args[3:])
	f.account.run(cmd)
	cmd.Dir = f.path
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{f.server.file}
	postgres, err := child.Start(cmd, syscall.SIGINT)
	if err = errors.Join(err, log.Close()); err != nil {
		return fmt.Errorf("start PostgreSQL %s: %w", b.version, err)
	}
	s.process = &process{Process: postgres, log: log.Name()}
	if err := s.answers(ctx); err != nil {
		return errors.Join(err, s.process.end())
	}
	err = f.server.handOver()
	f.server = nil
	return err
}

// answers waits until the server accepts connections. If the server exits instead,
// the error has the last lines of its log.
func (s *Server) answers(ctx context.Context) error {
	config, err := pgurl.Parse(s.URL("postgres"))
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	config.ConnectTimeout = 5 * time.Second
	for {
		conn, err := pgx.ConnectConfig(ctx, config)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.process.Done():
			return fmt.Errorf("PostgreSQL did not start: %w", s.process.ended())
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not answer: %w: %w", context.Cause(ctx), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// ended returns how the process has ended.
func (p *process) ended() error {
	state := "it has ended"
	if err := p.Err(); err != nil {
		state = err.Error()
	}
	b, err := os.ReadFile(p.log)
	if err != nil {
		return errors.Join(errors.New(state), err)
	}
	return fmt.Errorf("%s; its log %s says:\n%s", state, p.log, lastLines(string(b)))
}

// stop stops the process and waits until it is gone.
func (p *process) stop() error {
	p.stopped.Do(func() {
		select {
		case <-p.Done():
			p.stopErr = fmt.Errorf("PostgreSQL exited unexpectedly: %w", p.ended())
		default:
			p.stopErr = p.end()
		}
	})
	return p.stopErr
}

// end ends the process if it still runs.
func (p *process) end() error {
	for _, attempt := range attempts() {
		if err := p.Signal(attempt.signal); err != nil {
			return fmt.Errorf("stop PostgreSQL: %w", err)
		}
		select {
		case <-p.Done():
			return nil
		case <-time.After(attempt.wait):
		}
	}
	return fmt.Errorf("PostgreSQL process %d does not stop", p.PID())
}

// lastLines returns the last lines of a log, indented.
func lastLines(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return "\t" + strings.Join(lines[max(0, len(lines)-15):], "\n\t")
}
