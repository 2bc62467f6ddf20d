package txpooler

import (
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// server is a connection to the server, open or not.
type server struct {
	pooler *pooler
	conn   *pgconn.HijackedConn // nil until it is used, and after a failure
}

func (s *server) open() error {
	if s.conn != nil {
		return nil
	}
	c, err := pgconn.ConnectConfig(s.pooler.ctx, s.pooler.config)
	if err != nil {
		return err
	}
	if s.conn, err = c.Hijack(); err != nil {
		return err
	}
	if !s.pooler.hold(s.conn.Conn) {
		s.conn = nil
		return errors.New("the pooler is closed")
	}
	return nil
}

func (s *server) close() {
	if s.conn != nil {
		s.pooler.drop(s.conn.Conn)
		s.conn = nil
	}
}

// ask returns all that the server answers, and its state after that: 'I' outside
// of a transaction, 'T' within one, 'E' within one that has failed. It writes and
// reads at once, since neither side has to take in everything first.
func (s *server) ask(request []byte) (answer []byte, status byte, err error) {
	written := make(chan error, 1)
	go func() {
		_, err := s.conn.Conn.Write(request)
		written <- err
	}()
	defer func() {
		if err != nil {
			_ = s.conn.Conn.Close() // ends the writing, too
		}
		err = errors.Join(err, <-written)
	}()
	for {
		m, err := s.conn.Frontend.Receive()
		if err != nil {
			return nil, 0, err
		}
		if answer, err = m.Encode(answer); err != nil {
			return nil, 0, err
		}
		switch m := m.(type) {
		case *pgproto3.ReadyForQuery:
			return answer, m.TxStatus, nil
		case *pgproto3.CopyInResponse, *pgproto3.CopyBothResponse:
			return nil, 0, errors.New("COPY from the client is not supported")
		}
	}
}

// cancel asks the server to end what it is at, and waits until it has been told.
func (s *server) cancel() {
	var d net.Dialer
	conn, err := d.DialContext(s.pooler.ctx, "tcp", s.conn.Conn.RemoteAddr().String())
	if err != nil {
		return
	}
	if !s.pooler.hold(conn) {
		return
	}
	defer s.pooler.drop(conn)
	request, err := (&pgproto3.CancelRequest{ProcessID: s.conn.PID, SecretKey: s.conn.SecretKey}).Encode(nil)
	if err != nil {
		return
	}
	if _, err := conn.Write(request); err == nil {
		_, _ = io.Copy(io.Discard, conn)
	}
}
