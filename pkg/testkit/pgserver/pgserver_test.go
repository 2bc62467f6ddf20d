package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

// parentOf is the variable that makes this program start a server on a folder and
// then do nothing.
const parentOf = "PGSERVER_TEST_PARENT_OF"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentOf); dir != "" {
		if _, err := Start(context.Background(), quick(dir)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("started")
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	goleak.VerifyTestMain(m)
}

func TestStart(t *testing.T) {
	t.Parallel()
	s := mustStart(t, Options{Settings: map[string]string{"fsync": "off", "application_name": "with space"}})

	for setting, want := range map[string]string{
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "",
		"server_encoding":         "UTF8",
		"TimeZone":                "UTC",
		"lc_messages":             "C",
		"fsync":                   "off",
		"application_name":        "with space",
		"data_directory":          filepath.Join(s.DataDir(), "cluster"),
	} {
		if got := query(t, s, "SELECT current_setting('"+setting+"')"); got != want {
			t.Errorf("%s = %q, want %q", setting, got, want)
		}
	}
	if got := query(t, s, "SELECT current_user::text"); got != "postgres" {
		t.Errorf("user is %s", got)
	}

	for _, name := range []string{"", "cluster", "password", "log"} {
		info, err := os.Stat(filepath.Join(s.DataDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%q is open to other users: %s", name, info.Mode())
		}
	}

	u, err := url.Parse(s.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("postgres", "guess")
	if _, err := pgx.Connect(t.Context(), u.String()); err == nil {
		t.Error("a wrong password is accepted")
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	s := mustStart(t, quick(""))
	conn, err := pgx.Connect(t.Context(), s.URL("postgres")) // must not hinder it
	if err != nil {
		t.Fatal(err)
	}
	pid := s.process.PID()

	mustStop(t, s)
	mustStop(t, s)

	select {
	case <-s.Done():
	default:
		t.Error("Done is open after Stop")
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there: %v", pid, err)
	}
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("a connection is still open")
	}
	if _, err := os.Stat(s.DataDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("temporary data is still there: %v", err)
	}
}

func TestStartAgain(t *testing.T) {
	t.Parallel()
	o := quick(folderFor(t))
	first := mustStart(t, o)
	if _, err := Start(t.Context(), o); err == nil {
		t.Fatal("two servers on one folder")
	} else {
		wantError(t, err, o.DataDir, "in use", fmt.Sprint(os.Getpid()))
	}
	wantError(t, Remove(o.DataDir), o.DataDir, "in use")
	execute(t, first, "CREATE TABLE kept AS SELECT 'yes' AS answer")
	mustStop(t, first)

	var log strings.Builder
	o.Log = &log
	second := mustStart(t, o)
	if got := query(t, second, "SELECT answer FROM kept"); got != "yes" {
		t.Errorf("data: %q", got)
	}
	if first.password != second.password {
		t.Error("the password has changed")
	}
	if log.Len() > 0 {
		t.Errorf("nothing takes long, but the log says:\n%s", log.String())
	}
	mustStop(t, second)

	if err := Remove(o.DataDir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(o.DataDir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("data is still there after Remove: %v", err)
	}
	if err := Remove(o.DataDir); err != nil {
		t.Errorf("Remove without data: %v", err)
	}
}

func TestStartAfterCrash(t *testing.T) {
	t.Parallel()
	o := quick(folderFor(t))
	first := mustStart(t, o)
	execute(t, first, "CREATE TABLE kept AS SELECT 'yes' AS answer")
	if err := first.process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-first.Done()
	wantError(t, first.Stop(), "exited unexpectedly", "killed", first.DataDir())

	second := mustStart(t, o)
	if got := query(t, second, "SELECT answer FROM kept"); got != "yes" {
		t.Errorf("data: %q", got)
	}
}

// A killed process does not stop its server. Only the owner's lock is gone with the
// process.
func TestStartStopsLeftover(t *testing.T) {
	t.Parallel()
	o := quick(folderFor(t))
	leftover := mustStart(t, o)
	execute(t, leftover, "CREATE TABLE kept AS SELECT 'yes' AS answer")
	if err := leftover.folder.close(); err != nil {
		t.Fatal(err)
	}

	s := mustStart(t, o)
	<-leftover.Done()
	if got := query(t, s, "SELECT answer FROM kept"); got != "yes" {
		t.Errorf("data: %q", got)
	}

	if err := s.folder.close(); err != nil {
		t.Fatal(err)
	}
	if err := Remove(o.DataDir); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
}

func TestStartAfterInterruption(t *testing.T) {
	t.Parallel()
	o := quick(folderFor(t))
	ctx, cancel := context.WithCancel(t.Context())
	o.Log = writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }) // when initdb is about to run
	if _, err := Start(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	mustWrite(t, filepath.Join(o.DataDir, unfinished, "PG_VERSION"), "15\n", 0o600) // as initdb would leave it

	o.Log = nil
	s := mustStart(t, o)
	if got := query(t, s, "SELECT 'works'"); got != "works" {
		t.Error(got)
	}
}

func TestStartInFolderOutOfReach(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data") // other users cannot enter it
	want := dir
	if os.Geteuid() == 0 {
		want = fallback(dir)
	}
	o := quick(dir)
	s := mustStart(t, o)
	t.Cleanup(func() {
		if err := errors.Join(s.Stop(), Remove(dir)); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(want); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("data is still there after Remove: %v", err)
		}
	})
	if got := s.DataDir(); got != want {
		t.Errorf("data is in %s, want %s", got, want)
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	cluster := func(t *testing.T, files map[string]string) string {
		dir := folderFor(t)
		files[ownerLock] = ""
		for name, content := range files {
			mustWrite(t, filepath.Join(dir, name), content, 0o600)
		}
		return dir
	}
	tests := map[string]struct {
		options func(t *testing.T) Options
		want    []string
	}{
		"taken port": {func(t *testing.T) Options {
			l, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
			return Options{Port: l.Addr().(*net.TCPAddr).Port}
		}, []string{"port", "is taken", "choose another"}},
		"unknown setting": {func(*testing.T) Options {
			return Options{Settings: map[string]string{"no_such_setting": "1"}}
		}, []string{"did not start", `unrecognized configuration parameter "no_such_setting"`}},
		"data of another version": {func(t *testing.T) Options {
			return Options{DataDir: cluster(t, map[string]string{"cluster/PG_VERSION": "9\n"})}
		}, []string{"PostgreSQL 9", "make clean"}},
		"damaged data": {func(t *testing.T) Options {
			return Options{DataDir: cluster(t, map[string]string{"cluster/base": ""})}
		}, []string{"damaged", "make clean"}},
		"somebody's folder": {func(t *testing.T) Options {
			dir := folderFor(t)
			mustWrite(t, filepath.Join(dir, "thesis.txt"), "", 0o600)
			return Options{DataDir: dir}
		}, []string{"is not a data folder", "empty folder"}},
		"file": {func(t *testing.T) Options {
			path := folderFor(t)
			mustWrite(t, path, "", 0o600)
			return Options{DataDir: path}
		}, []string{"not a directory"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Start(t.Context(), tt.options(t))
			if err == nil {
				t.Error(s.Stop())
			}
			wantError(t, err, tt.want...)
		})
	}
}

func TestRemoveRefusesOtherFolders(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	thesis := filepath.Join(dir, "thesis.txt")
	mustWrite(t, thesis, "", 0o600)
	wantError(t, Remove(dir), "is not a data folder")
	if _, err := os.Stat(thesis); err != nil {
		t.Error(err)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	root := reachable(t)
	path := func(name string) string { return filepath.Join(root, temporaryPrefix+name) }
	for _, name := range []string{"left behind", "young", "in use"} {
		f, err := openFolder(t.Context(), path(name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "in use" {
			defer func() {
				if err := f.close(); err != nil {
					t.Error(err)
				}
			}()
		} else if err := f.close(); err != nil {
			t.Fatal(err)
		}
		if name != "young" {
			old := time.Now().Add(-2 * time.Hour)
			if err := os.Chtimes(path(name), old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	sweep(t.Context(), root)
	for name, kept := range map[string]bool{"left behind": false, "young": true, "in use": true} {
		if _, err := os.Stat(path(name)); (err == nil) != kept {
			t.Errorf("folder %s: %v", name, err)
		}
	}
}

func TestAccount(t *testing.T) {
	t.Parallel()
	data := state{path: "/data", ours: true, uid: 1} // daemon, on every Unix
	a, err := accountFor(data)
	if os.Geteuid() != 0 {
		wantError(t, err, "/data", "make clean")
		return
	}
	// Root leaves data with the user that created it.
	if err != nil {
		t.Fatal(err)
	}
	if a.uid != 1 {
		t.Errorf("data of user 1 is used as user %d", a.uid)
	}
	if a, err = accountFor(state{path: "/new"}); err != nil {
		t.Fatal(err)
	}
	if a.uid == 0 {
		t.Error("new data is made as root")
	}
}

func execute(t *testing.T, s *Server, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
