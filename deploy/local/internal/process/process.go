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
	"runtime"
	"syscall"
	"time"
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
	name string
	cmd  *exec.Cmd
	out  *lines
	done chan struct{}
	err  error // set before done is closed
}

// Start starts the child and returns at once.
func Start(s Spec) (*Process, error) {
	p := &Process{name: s.Name, out: &lines{emit: s.Line}, done: make(chan struct{})}
	p.cmd = exec.Command(s.Path, s.Args...) //nolint:noctx // Stop ends the child, in its order; a context would just kill it
	p.cmd.Env = s.Env
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.WaitDelay = drain
	p.cmd.SysProcAttr = attributes()

	started := make(chan error)
	go func() {
		// Linux kills the child when the *thread* that created it exits, and Go
		// can end threads at any time. This goroutine holds its thread while
		// the child lives (https://go.dev/issue/27505).
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = p.cmd.Wait()
		p.out.flush()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	return p, nil
}

// PID returns the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends sig to the child. It returns nil if the child has exited.
func (p *Process) Signal(sig os.Signal) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(sig); err != nil && !isGone(err) {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

// Done is closed when the child has exited and all its output has arrived.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns the child's exit error, or nil for exit status 0. It is valid only
// after Done.
func (p *Process) Err() error { return p.err }

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
	if p.err != nil {
		return fmt.Errorf("%s: %w", p.name, p.err)
	}
	return nil
}
