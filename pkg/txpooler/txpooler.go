// Package txpooler is a test kit: a transaction-mode pooler, such as PgBouncer
// with pool_mode=transaction, between clients and a real PostgreSQL server.
//
//	dsn := txpooler.Start(t, db.URL("order_svc"), 1) // connections to the server
//	client → dsn → one of few server connections, for a transaction → PostgreSQL
//
// It speaks the real protocol and is as unkind as transaction mode allows: each
// transaction gets the server connection that has been idle longest, nothing is
// reset in between, and named prepared statements are passed on as they are. What
// holds here holds behind any such pooler. It is small on purpose, and here so
// that tests need nothing that a fresh machine does not have; PgBouncer is in no
// Go module. COPY from the client and Flush are not supported.
package txpooler

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// pooler passes transactions on to servers.
type pooler struct {
	config   *pgconn.Config
	listener net.Listener
	ctx      context.Context
	free     chan *server // of those that no transaction uses, the longest idle first
	running  sync.WaitGroup

	mu      sync.Mutex
	clients map[uint32]*client // by the process id that they were told
	conns   map[net.Conn]struct{}
}

// Start starts a pooler with a number of connections to the database at dsn,
// opened when first used, and stops it when the test ends. It returns the DSN of
// the pooler: every client is let in, as the user of dsn.
func Start(tb testing.TB, dsn string, servers int) string {
	tb.Helper()
	config, err := pgconn.ParseConfig(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		stop()
		tb.Fatal(err)
	}
	p := &pooler{
		config: config, listener: l, ctx: ctx, free: make(chan *server, servers),
		clients: map[uint32]*client{}, conns: map[net.Conn]struct{}{},
	}
	for range servers {
		p.free <- &server{pooler: p}
	}
	p.running.Go(p.accept)
	tb.Cleanup(func() {
		stop()
		if err := l.Close(); err != nil {
			tb.Error(err)
		}
		p.closeAll()
		p.running.Wait()
	})
	u, err := url.Parse(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	u.Host = l.Addr().String()
	return u.String()
}

func (p *pooler) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		if !p.hold(conn) {
			return
		}
		p.running.Go(func() {
			defer p.drop(conn)
			p.serve(conn)
		})
	}
}

// hold remembers a connection, which drop or the end of the test closes.
func (p *pooler) hold(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		_ = conn.Close()
		return false
	}
	p.conns[conn] = struct{}{}
	return true
}

func (p *pooler) drop(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
	_ = conn.Close()
}

func (p *pooler) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close()
	}
}

// enter gives a client the number and the secret by which it can cancel.
func (p *pooler) enter(c *client) error {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	c.pid, c.secret = binary.BigEndian.Uint32(b[:4]), b[4:]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clients[c.pid] = c
	return nil
}

func (p *pooler) leave(c *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.clients, c.pid)
}

// find returns the client of a number, or nil.
func (p *pooler) find(pid uint32) *client {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.clients[pid]
}
