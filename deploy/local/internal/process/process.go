// Package process runs a program as a child that cannot outlive its parent.
//
// Spec.Line receives the child's standard output and standard error line by
// line. The last lines are kept so that an exit report can quote them. The child
// leads its own process group: a Ctrl-C in the terminal reaches only the parent,
// which then stops its children in order.
package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"example.com/pizza/pkg/testkit/child"
)

// drain bounds the wait for output after the child exits. Only a grandchild
// that still holds the pipe can delay it.
const drain = 2 * time.Second

// Spec describes the program to run.
type Spec struct {
	Name string            // for messages
	Path string            // program file
	Args []string          // without the program's name
	Env  []string          // the complete environment; later entries win
	Line func(line []byte) // receives each line without its newline; never called concurrently; must not keep line
}

// Process is a started child.
type Process struct {
	name  string
	child *child.Process
	out   *lines
	done  chan struct{}
}

// Start starts the child and returns at once.
func Start(s Spec) (*Process, error) {
	p := &Process{name: s.Name, out: &lines{emit: s.Line}, done: make(chan struct{})}
	cmd := exec.Command(s.Path, s.Args...) //nolint:noctx // Stop ends the child, in its order; a context would just kill it
	cmd.Env = s.Env
	cmd.Stdout, cmd.Stderr = p.out, p.out
	cmd.WaitDelay = drain
	var err error
	if p.child, err = child.Start(cmd, syscall.SIGKILL); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	go func() {
		<-p.child.Done()
		p.out.flush()
		close(p.done)
	}()
	return p, nil
}

// PID returns the child's process ID.
func (p *Process) PID() int { return p.child.PID() }

// Signal sends sig to the child. It returns nil if the child has exited.
func (p *Process) Signal(sig os.Signal) error {
	if err := p.child.Signal(sig); err != nil {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

// Done is closed when the child has exited and all its output has arrived.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns the child's exit error, or nil for exit status 0. It is valid only
// after Done.
func (p *Process) Err() error { return p.child.Err() }

// Tail returns the last lines of output, oldest first.
func (p *Process) Tail() []string { return p.out.last() }

// Stop sends SIGTERM to the child and waits. If ctx ends first, it kills the
// child and returns an error. Otherwise it returns the child's exit error, or
// nil for exit status 0.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		if err := p.Signal(syscall.SIGKILL); err != nil {
			return err
		}
		<-p.done
		return fmt.Errorf("%s did not stop in time and was killed", p.name)
	}
	if err := p.Err(); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}
