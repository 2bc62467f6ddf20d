//go:build unix

package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// errUnreachable means that the server's account cannot enter a folder.
var errUnreachable = errors.New("out of reach")

// account is the user that runs the server if we are root, because PostgreSQL does
// not run as root. nil means the current user.
type account struct {
	name     string
	uid, gid uint32
}

// accountFor returns the account that runs a server on a folder. Existing data
// keeps its owner.
func accountFor(s state) (*account, error) {
	if me := os.Geteuid(); me != 0 {
		if s.ours && s.uid != me {
			return nil, foreign(s.path)
		}
		return nil, nil //nolint:nilnil // nil is the user that we are
	}
	if s.ours && s.uid != 0 {
		return accountOf(user.LookupId(strconv.Itoa(s.uid)))
	}
	for _, name := range []string{"postgres", "_postgres", "nobody", "daemon"} {
		if a, err := accountOf(user.Lookup(name)); err == nil {
			return a, nil
		}
	}
	return nil, errors.New("PostgreSQL does not run as root, and no user postgres or nobody exists to run it: " +
		"add one (useradd --system postgres), or run this as an ordinary user")
}

func accountOf(u *user.User, err error) (*account, error) {
	if err != nil {
		return nil, err
	}
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return nil, fmt.Errorf("user %s: %w", u.Username, err)
	}
	if uid == 0 {
		return nil, fmt.Errorf("user %s is root", u.Username)
	}
	return &account{u.Username, uint32(uid), uint32(gid)}, nil
}

// run makes cmd run as the account, in a separate process group, so that a Ctrl-C
// in the terminal reaches only us. We then stop the server at the right time.
func (a *account) run(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if a != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	for _, v := range os.Environ() {
		// These would change the programs' behavior (PGDATA, PGPORT, LC_ALL, …).
		if name, _, _ := strings.Cut(v, "="); !strings.HasPrefix(name, "PG") && !strings.HasPrefix(name, "LC_") && name != "TZ" {
			cmd.Env = append(cmd.Env, v)
		}
	}
	// The locale of messages and the default time zone are the same everywhere.
	cmd.Env = append(cmd.Env, "LC_ALL=C", "TZ=UTC")
}

// reach fails with errUnreachable unless the account can enter the folder.
func (a *account) reach(ctx context.Context, folder string) error {
	if a == nil {
		return nil
	}
	// Only the kernel knows for sure: there are modes, groups, ACLs, mounts.
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", ":")
	a.run(cmd)
	cmd.Dir = folder
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w for user %s: %w", folder, errUnreachable, a.name, err)
	}
	return nil
}

func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Lchown(path, int(a.uid), int(a.gid))
}

func (a *account) ownFile(f *os.File) error {
	if a == nil {
		return nil
	}
	return f.Chown(int(a.uid), int(a.gid))
}

// openNoFollow opens a file, private to its owner. It follows no symlink, because
// the folder is another user's and we may be root.
func openNoFollow(path string, flag int) (*os.File, error) {
	return os.OpenFile(path, flag|syscall.O_NOFOLLOW, 0o600)
}

func ownerOf(path string) (int, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, err
	}
	return int(info.Sys().(*syscall.Stat_t).Uid), nil
}

func userName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return "user " + u.Username
	}
	return "user " + id
}
