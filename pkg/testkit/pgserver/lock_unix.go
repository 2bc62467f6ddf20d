//go:build unix

package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// errLocked means that another process holds the lock.
var errLocked = errors.New("locked")

// lock is an exclusive lock on an open file. A child that inherits the file holds
// the lock too, for as long as it or one of its own children lives. So a lock
// reliably shows whether a server still runs. A process ID in a file does not:
// after a restart of the machine or container, another process can have it.
type lock struct{ file *os.File }

// lock locks a file in the folder. If another process holds the lock, the error is
// errLocked and has its ID.
func (f *folder) lock(name string) (*lock, error) {
	file, err := f.file(name, 0)
	if err != nil {
		return nil, err
	}
	l := &lock{file}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("%s is in use: %w by process %s", f.path, errLocked, l.holder()), file.Close())
	}
	if err == nil {
		err = file.Truncate(0)
	}
	if err == nil {
		_, err = file.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", file.Name(), err), file.Close())
	}
	return l, nil
}

// holder returns the ID of the process that took the lock.
func (l *lock) holder() string {
	b, err := io.ReadAll(io.LimitReader(l.file, 20))
	if err != nil || len(b) == 0 {
		return "of unknown id"
	}
	return strings.TrimSpace(string(b))
}

// release unlocks the file for all holders. Closing it is not enough: a child that
// is just being forked has a copy until it runs its program.
func (l *lock) release() error {
	if l == nil {
		return nil
	}
	return errors.Join(syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN), l.file.Close())
}

// handOver leaves the lock to the children that have inherited it.
func (l *lock) handOver() error { return l.file.Close() }

// stopLeftover takes the server's lock. If a server holds it, that server was left
// behind by a killed process, because a live process would hold the owner's lock.
// The server is stopped.
func (f *folder) stopLeftover(ctx context.Context) error {
	err := f.lockServer(ctx, 0)
	for _, attempt := range attempts() {
		if !errors.Is(err, errLocked) {
			break
		}
		if err := f.signalLeftover(attempt.signal); err != nil {
			return err
		}
		err = f.lockServer(ctx, attempt.wait)
	}
	if err != nil {
		return fmt.Errorf("stop the server that still runs in %s: %w", f.path, err)
	}
	return f.removeStalePid()
}

// lockServer waits for the server's lock.
func (f *folder) lockServer(ctx context.Context, wait time.Duration) error {
	deadline := time.Now().Add(wait)
	for {
		l, err := f.lock(serverLock)
		if err == nil {
			f.server = l
			return nil
		}
		if !errors.Is(err, errLocked) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// signalLeftover signals the server that has the server's lock.
func (f *folder) signalLeftover(signal syscall.Signal) error {
	pid, err := f.pid()
	if err != nil || pid == 0 {
		return err // 0: it has not written its ID yet, or is almost gone
	}
	if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop PostgreSQL process %d: %w", pid, err)
	}
	return nil
}

// removeStalePid removes the PID file of a killed server, because PostgreSQL does
// not start if another process now has that ID. The lock shows that none of our
// servers runs. A server that was started by hand is left alone.
func (f *folder) removeStalePid() error {
	pid, err := f.pid()
	if err != nil || pid == 0 {
		return err
	}
	if mayWorkIn(pid, f.in(clusterDir)) {
		return fmt.Errorf("%s is in use by process %d, a PostgreSQL server that was started by other means: stop it", f.path, pid)
	}
	return os.Remove(f.in(clusterDir + "/postmaster.pid"))
}

// pid returns the process id in postmaster.pid, or 0 if there is none.
func (f *folder) pid() (int, error) {
	b, err := os.ReadFile(f.in(clusterDir + "/postmaster.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && pid > 1 {
		return pid, nil
	}
	return 0, nil // truncated by a crash
}
