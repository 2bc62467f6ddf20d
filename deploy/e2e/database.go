package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations"
	"example.com/pizza/pkg/pgurl"
	"example.com/pizza/pkg/testkit/pgserver"
)

// maxConnections is the limit of the server, and the value for the charts.
const maxConnections = 200

// database is a PostgreSQL server on this machine, outside of the cluster. It
// listens only on loopback. A proxy (door) on the address that pods see forwards
// to it, so that the server needs no special configuration.
type database struct {
	dir       string
	port      int
	server    *pgserver.Server
	door      *door
	passwords migrations.Passwords
}

// startDatabase starts the server, with nothing in it.
func startDatabase(ctx context.Context, dir, host string, log io.Writer) (*database, error) {
	d := &database{dir: dir}
	if err := d.start(ctx, log); err != nil {
		return nil, err
	}
	u, err := url.Parse(d.server.URL("postgres"))
	if err != nil {
		return nil, err
	}
	if d.port, err = strconv.Atoi(u.Port()); err != nil {
		return nil, err
	}
	d.door, err = openDoor(ctx, net.JoinHostPort(host, "0"), net.JoinHostPort("127.0.0.1", strconv.Itoa(d.port)))
	return d, err
}

// create creates the database and the services' roles.
func (d *database) create(ctx context.Context) error {
	conn, err := pgurl.Connect(ctx, d.server.URL("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE pizza")
	if err = errors.Join(err, conn.Close(ctx)); err != nil {
		return err
	}
	d.passwords = migrations.Passwords{Migrator: rand.Text(), Login: rand.Text(), Menu: rand.Text(), Order: rand.Text()}
	return migrations.ApplyRoles(ctx, d.url(), d.passwords)
}

func (d *database) start(ctx context.Context, log io.Writer) (err error) {
	d.server, err = pgserver.Start(ctx, pgserver.Options{
		DataDir: d.dir, Port: d.port, Log: log, Settings: map[string]string{"max_connections": strconv.Itoa(maxConnections)},
	})
	return err
}

// url returns the superuser's address of the database.
func (d *database) url() string { return d.server.URL("pizza") }

// stop stops the server and copies its log.
func (d *database) stop(log string) error {
	var err error
	if d.door != nil {
		err = d.door.close()
	}
	err = errors.Join(err, d.server.Stop())
	said, readErr := os.ReadFile(filepath.Join(d.dir, "log"))
	return errors.Join(err, readErr, os.WriteFile(log, said, 0o600))
}

// orders returns the ids of all orders whose member id starts with prefix.
func (d *database) orders(ctx context.Context, prefix string) (map[string]bool, error) {
	conn, err := pgurl.Connect(ctx, d.url())
	if err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, "SELECT order_id FROM orders WHERE starts_with(member_id, $1)", prefix)
	if err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	all := make(map[string]bool, len(ids))
	for _, id := range ids {
		all[id] = true
	}
	return all, errors.Join(err, conn.Close(ctx))
}

// door forwards connections to another address.
type door struct {
	listener net.Listener
	to       string
	open     sync.WaitGroup
	mu       sync.Mutex
	conns    map[net.Conn]bool
}

func openDoor(ctx context.Context, address, to string) (*door, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for pods (E2E_HOST): %w", err)
	}
	ctx = context.WithoutCancel(ctx) // runs until close
	d := &door{listener: l, to: to, conns: map[net.Conn]bool{}}
	d.open.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			d.open.Go(func() { d.pass(ctx, in) })
		}
	})
	return d, nil
}

func (d *door) port() int { return d.listener.Addr().(*net.TCPAddr).Port }

func (d *door) pass(ctx context.Context, in net.Conn) {
	out, err := new(net.Dialer).DialContext(ctx, "tcp", d.to)
	if err != nil {
		_ = in.Close() // the server is down
		return
	}
	d.mu.Lock()
	d.conns[in], d.conns[out] = true, true
	d.mu.Unlock()
	var both sync.WaitGroup
	for from, to := range map[net.Conn]net.Conn{in: out, out: in} {
		both.Go(func() {
			_, _ = io.Copy(to, from)
			_ = to.Close()
		})
	}
	both.Wait()
	d.mu.Lock()
	delete(d.conns, in)
	delete(d.conns, out)
	d.mu.Unlock()
	_ = in.Close()
	_ = out.Close()
}

func (d *door) close() error {
	err := d.listener.Close()
	d.mu.Lock()
	for c := range d.conns {
		_ = c.Close()
	}
	d.mu.Unlock()
	d.open.Wait()
	return err
}
