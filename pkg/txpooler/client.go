package txpooler

import (
	"bytes"
	"net"
	"sync"

	"github.com/jackc/pgx/v5/pgproto3"
)

// client is a connection of a client, and the server that its transaction uses.
type client struct {
	pooler  *pooler
	conn    net.Conn
	backend *pgproto3.Backend
	pid     uint32
	secret  []byte

	mu     sync.Mutex // held while a server is taken or given back, and while it is cancelled
	server *server
}

// serve speaks with whoever has connected, until one of the two has had enough.
func (p *pooler) serve(conn net.Conn) {
	c := &client{pooler: p, conn: conn, backend: pgproto3.NewBackend(conn, conn)}
	for {
		m, err := c.backend.ReceiveStartupMessage()
		if err != nil {
			return
		}
		switch m := m.(type) {
		case *pgproto3.SSLRequest, *pgproto3.GSSEncRequest:
			if _, err := conn.Write([]byte{'N'}); err != nil {
				return
			}
		case *pgproto3.CancelRequest:
			if of := p.find(m.ProcessID); of != nil && bytes.Equal(of.secret, m.SecretKey) {
				of.cancel()
			}
			return
		case *pgproto3.StartupMessage:
			if p.enter(c) == nil && c.welcome() == nil {
				c.talk()
			}
			p.leave(c)
			return
		}
	}
}

// welcome lets everybody in. Settings that the client asks for are not passed on.
func (c *client) welcome() error {
	c.backend.Send(&pgproto3.AuthenticationOk{})
	for name, value := range map[string]string{
		"server_version": "15.0", "server_encoding": "UTF8", "client_encoding": "UTF8", "DateStyle": "ISO, MDY",
		"TimeZone": "UTC", "integer_datetimes": "on", "standard_conforming_strings": "on",
	} {
		c.backend.Send(&pgproto3.ParameterStatus{Name: name, Value: value})
	}
	c.backend.Send(&pgproto3.BackendKeyData{ProcessID: c.pid, SecretKey: c.secret})
	c.backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	return c.backend.Flush()
}

// talk collects what the client sends up to the message that asks for an end of
// the transaction, if nobody has begun an explicit one, and passes it on. A
// client that goes away within its transaction takes the server along, so that
// the transaction is rolled back.
func (c *client) talk() {
	defer c.release(false)
	var request []byte
	for {
		m, err := c.backend.Receive()
		if err != nil {
			return
		}
		if request, err = m.Encode(request); err != nil {
			return
		}
		switch m.(type) {
		case *pgproto3.Sync, *pgproto3.Query:
			idle, err := c.exchange(request)
			if idle {
				c.release(true)
			}
			if err != nil {
				return
			}
			request = request[:0]
		case *pgproto3.Terminate, *pgproto3.Flush:
			return
		}
	}
}

// exchange has a server answer, and tells whether its transaction is over. The
// answer is read to its end even when the client does not want it any more.
func (c *client) exchange(request []byte) (idle bool, err error) {
	if err := c.acquire(); err != nil {
		return false, err
	}
	answer, status, err := c.server.ask(request)
	if err != nil {
		return false, err
	}
	_, err = c.conn.Write(answer)
	return status == 'I', err
}

func (c *client) acquire() error {
	if c.server != nil {
		return nil
	}
	select {
	case s := <-c.pooler.free:
		if err := s.open(); err != nil {
			c.pooler.free <- s
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.server = s
		return nil
	case <-c.pooler.ctx.Done():
		return c.pooler.ctx.Err()
	}
}

// release gives the server to whoever is next; one that is not clean is closed.
func (c *client) release(clean bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server == nil {
		return
	}
	if !clean {
		c.server.close()
	}
	c.pooler.free <- c.server
	c.server = nil
}

func (c *client) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server != nil {
		c.server.cancel()
	}
}
