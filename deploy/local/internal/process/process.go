// Package process runs a program as a child that cannot outlive its parent.
//
// Output of the child, standard output and standard error alike, arrives line
// by line at Spec.Line; the last lines are kept, so that a report of a death
// can quote them. The child leads a process group of its own: a Ctrl-C in the
// terminal reaches the parent alone, which then stops its children in order.
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

// drain bounds the wait for output after the child has ended. Only a
// grandchild that still holds the pipe can make it last.
const drain = 2 * time.Second

// Spec is what to run.
type Spec struct {
	Name string            // for messages
	Path string            // program file
	Args []string          // without the program's name
	Env  []string          // the whole environment; a later entry wins over an earlier one
	Line func(line []byte) // gets each line without its end; never called twice at a time; must not keep line
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
		// Linux ends the child when the *thread* that made it ends, and Go ends
		// threads as it likes. This goroutine keeps its thread for as long as
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

// Signal sends sig to the child. A child that has ended is no error.
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

// Done is closed when the child has ended and all its output has arrived.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err tells, after Done, how the child ended: nil for exit status 0.
func (p *Process) Err() error { return p.err }

// Tail returns the last lines of output, oldest first.
func (p *Process) Tail() []string { return p.out.last() }

// Stop asks the child to end with SIGTERM and waits. When ctx ends first, the
// child is killed, and Stop says so. It returns nil when the child ended with
// exit status 0, and otherwise how it ended.
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
