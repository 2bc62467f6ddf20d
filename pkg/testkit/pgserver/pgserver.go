// Package pgserver starts a real PostgreSQL server on a machine that may have
// nothing but Go. Local runs keep their data, and tests discard it.
//
// Start goes through four steps, one file each:
//
//	folder    the data folder, locked for this process        folder.go, lock_unix.go
//	account   the user that runs the server, never root       account_unix.go
//	binaries  the programs: installed, or downloaded          binaries.go, download.go
//	cluster   initdb, unless the data is there                cluster.go
//
// and then runs the server until Stop (server.go). The server listens only on
// 127.0.0.1 and requires a random password, because every user of a shared machine
// can reach that address.
package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"strconv"
	"time"
)

// Options configure a server. The zero value is a temporary server on a free port.
type Options struct {
	// DataDir is the folder that keeps the data from one start to the next. It
	// is created if missing. Empty means a temporary folder, which Stop deletes.
	DataDir string
	// Port is the TCP port on 127.0.0.1; 0 picks a free one.
	Port int
	// Settings are server settings, for example {"fsync": "off"}. See
	// https://www.postgresql.org/docs/current/runtime-config.html
	Settings map[string]string
	// Log gets one line for each slow step; nil discards it. The server's own log
	// is the file "log" in the data folder.
	Log io.Writer
	// CacheDir keeps downloaded programs. Empty means the folder pizza-postgres
	// in the user's cache folder, or in /var/cache for root, whose home no other
	// account can read.
	CacheDir string
	// Repository is the Maven repository that programs are downloaded from.
	// Empty means Maven Central.
	Repository string
}

// TestSettings returns settings for a server whose data may be lost: commits do
// not wait for the disk, and many tests can be connected at the same time.
func TestSettings() map[string]string {
	return map[string]string{
		"fsync":              "off",
		"synchronous_commit": "off",
		"full_page_writes":   "off",
		// Test databases are too short-lived for vacuuming to pay off, and a vacuum
		// keeps its template from being cloned.
		"autovacuum":      "off",
		"max_connections": "300",
		"shared_buffers":  "128MB",
	}
}

const (
	// startTime bounds a start, which can include the recovery after a crash.
	startTime = time.Minute
	// portTries is the maximum number of free ports to try, in case other programs
	// take them first.
	portTries = 5
)

// Server is a running PostgreSQL server.
type Server struct {
	folder   *folder
	process  *process
	port     int
	password string
}

// Start starts a server and returns when it accepts connections. A server that a
// killed process left behind on the same folder is stopped first. Canceling ctx ends
// only the start, not a server that has started.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	f, err := openFolder(ctx, o.DataDir)
	if err != nil {
		return nil, err
	}
	s, err := startIn(ctx, f, o)
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	return s, nil
}

func startIn(ctx context.Context, f *folder, o Options) (*Server, error) {
	if err := f.stopLeftover(ctx); err != nil {
		return nil, err
	}
	if o.Port != 0 && taken(ctx, o.Port) {
		return nil, fmt.Errorf("port %d on 127.0.0.1 is taken by another program: stop that, or choose another port", o.Port)
	}
	kept, err := f.version()
	if err != nil {
		return nil, err
	}
	b, err := newFinder(f.account, o).find(ctx, kept)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if kept == 0 {
		_, _ = fmt.Fprintf(o.Log, "preparing the data folder of PostgreSQL %s in %s\n", b.version, f.path) // best effort
		if err := initialize(ctx, f, b, o.Settings["fsync"] != "off"); err != nil {
			return nil, err
		}
	}
	password, err := f.password()
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		s := &Server{folder: f, port: o.Port, password: password}
		if s.port == 0 {
			if s.port, err = freePort(ctx); err != nil {
				return nil, err
			}
		}
		if err = s.run(ctx, b, o.Settings); err == nil {
			return s, nil
		}
		// Another program can take a free port before the server uses it.
		if o.Port != 0 || try == portTries || ctx.Err() != nil || !taken(ctx, s.port) {
			return nil, err
		}
	}
}

// URL returns the superuser's address of a database on the server.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// DataDir returns the folder that actually holds the data. It is not the requested
// one if we are root and the server's account cannot reach that folder.
func (s *Server) DataDir() string { return s.folder.path }

// Done returns a channel that is closed when the server has exited. If the server
// was not stopped by Stop, Stop returns the reason.
func (s *Server) Done() <-chan struct{} { return s.process.Done() }

// Stop ends all sessions, stops the server, waits until it is gone, and deletes
// temporary data. If the server had already exited, the error has the last lines
// of its log. Stop may be called again.
func (s *Server) Stop() error {
	return errors.Join(s.process.stop(), s.folder.close())
}

// settings returns all settings of the server; wanted overrides the defaults.
func (s *Server) settings(wanted map[string]string) map[string]string {
	all := map[string]string{
		// A socket file would need a folder that both users can write to, and a
		// path of at most 107 bytes.
		"unix_socket_directories": "",
	}
	maps.Copy(all, wanted)
	all["listen_addresses"] = "127.0.0.1"
	all["port"] = strconv.Itoa(s.port)
	return all
}

func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return port, nil
}

// taken reports whether another program listens on the port.
func taken(ctx context.Context, port int) bool {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return true
	}
	return l.Close() != nil
}
